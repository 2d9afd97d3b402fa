import { inspect } from 'node:util';
import { isCredentialError } from '../../../src/errors.ts';
import { parseOAuth2Config, parseOAuth2Secret } from '../../../src/protocols/oauth2/config.ts';

const config = { issuer: 'https://as.example', grantType: 'client_credentials', clientId: 'c' };

function problemOf(operation: () => unknown): string {
  try {
    operation();
    return 'accepted';
  } catch (error) {
    if (!isCredentialError(error)) throw error;
    expect(error.code).toBe('ERR_CONFIG_MALFORMED');
    expect(inspect(error, { depth: Infinity })).not.toContain('hunter2');
    return error.message;
  }
}

it('fills in the defaults', () => {
  expect(parseOAuth2Config(config)).toEqual({
    ...config,
    clientAuthentication: 'client_secret_basic',
    reuseGraceMs: 0,
    allowInsecureTransport: false,
  });
});

it.each<[string, unknown, string]>([
  ['nothing', undefined, 'config must be of type object'],
  ['a list', [], 'config must be of type object'],
  ['neither issuer nor token endpoint', { ...config, issuer: undefined }, 'config.issuer is needed'],
  ['an unknown grant type', { ...config, grantType: 'password' }, 'config.grantType must be one of'],
  ['a missing client id', { ...config, clientId: '' }, 'config.clientId is too small'],
  ['an issuer that is no URL', { ...config, issuer: 'as.example' }, 'config.issuer must be a URL'],
  ['a file URL', { ...config, issuer: 'file:///etc/passwd' }, 'config.issuer must be a URL'],
  ['plain http without the switch', { ...config, issuer: 'http://as.example' }, 'config.issuer must be https'],
  ['plain http in a test URL', { ...config, testUrl: 'http://api.example' }, 'config.testUrl must be https'],
  ['a password in the URL', { ...config, issuer: 'https://u:hunter2@as.example' }, 'config.issuer must hold no user'],
  [
    'the text "false" for a switch',
    { ...config, allowInsecureTransport: 'false' },
    'config.allowInsecureTransport must be of type boolean',
  ],
  ['a text for a number', { ...config, reuseGraceMs: '30' }, 'config.reuseGraceMs must be of type'],
  ['no number at all', { ...config, reuseGraceMs: Number.NaN }, 'config.reuseGraceMs must be of type'],
  ['a negative grace', { ...config, reuseGraceMs: -1 }, 'config.reuseGraceMs is too small'],
  ['a member that it does not know', { ...config, secrett: 'hunter2' }, 'config has unknown members: secrett'],
  ['a scope with a line break', { ...config, scope: 'a\nb' }, 'config.scope has the wrong form'],
])('refuses %s', (_sentence, value, problem) => {
  expect(problemOf(() => parseOAuth2Config(value))).toContain(`The field ${problem}`);
});

it.each<[string, string, unknown, string]>([
  ['no secret', 'client_credentials', {}, 'secret.clientSecret must be of type string'],
  ['an empty secret', 'client_credentials', { clientSecret: '' }, 'secret.clientSecret is too small'],
  ['a number', 'client_credentials', { clientSecret: 5 }, 'secret.clientSecret must be of type string'],
  [
    'an unknown member',
    'client_credentials',
    { clientSecret: 'hunter2', password: 'hunter2' },
    'secret has unknown members.',
  ],
  ['a refresh grant without a token', 'refresh_token', { clientSecret: 'hunter2' }, 'secret.refreshToken is needed'],
])('refuses a secret: %s', (_sentence, grantType, secret, problem) => {
  expect(problemOf(() => parseOAuth2Secret(secret, parseOAuth2Config({ ...config, grantType })))).toContain(
    `The field ${problem}`,
  );
});
