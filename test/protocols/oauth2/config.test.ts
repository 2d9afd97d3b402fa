import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { isCredentialError } from '../../../src/errors.ts';
import { parseOAuth2Config, parseOAuth2Secret } from '../../../src/protocols/oauth2/config.ts';

const config = { issuer: 'https://as.example', grantType: 'client_credentials', clientId: 'c' };

const exchange = { tokenExchange: { subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token' } };
const PEM = { type: 'pkcs8', format: 'pem' } as const;
const EC_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(PEM);
const SMALL_KEY = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export(PEM);
const ENCRYPTED_KEY = generateKeyPairSync('ed25519').privateKey.export({
  ...PEM,
  cipher: 'aes-256-cbc',
  passphrase: 'hunter2',
});

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
  ['a resource with a fragment', { ...config, resources: ['https://api.example/#a'] }, 'config.resources.0 must be'],
  ['a resource that is no URI', { ...config, resources: ['api'] }, 'config.resources.0 must be'],
  ['no resource at all', { ...config, resources: [] }, 'config.resources is too small'],
  [
    'a state of its own',
    { ...config, authorizationParameters: { state: 'x' } },
    'config.authorizationParameters must not',
  ],
  ['an exchange without a type', { ...config, grantType: 'token_exchange' }, 'config.tokenExchange is needed'],
  ['an unknown way in', { ...config, clientAuthentication: 'password' }, 'config.clientAuthentication must be one of'],
  ['an unknown algorithm', { ...config, clientKeyAlgorithm: 'none' }, 'config.clientKeyAlgorithm must be one of'],
  [
    'plain http for people',
    { ...config, authorizationEndpoint: 'http://as.example/a' },
    'config.authorizationEndpoint must',
  ],
  ['a scope with a line break', { ...config, scope: 'a\nb' }, 'config.scope has the wrong form'],
])('refuses %s', (_sentence, value, problem) => {
  expect(problemOf(() => parseOAuth2Config(value))).toContain(`The field ${problem}`);
});

it.each<[string, string, unknown, string]>([
  ['no secret', 'client_credentials', {}, 'secret.clientSecret is needed'],
  [
    'a key that is none',
    'jwt_bearer',
    { clientSecret: 'hunter2', assertionKey: 'hunter2' },
    'secret.assertionKey must be',
  ],
  ['an assertion without a key', 'jwt_bearer', { clientSecret: 'hunter2' }, 'secret.assertionKey is needed'],
  [
    'half a certificate',
    'client_credentials',
    { clientSecret: 'hunter2', tlsKey: EC_KEY },
    'secret.tlsCertificate and',
  ],
  [
    'a small RSA key',
    'client_credentials',
    { clientSecret: 'hunter2', clientKey: SMALL_KEY },
    'secret.clientKey must be',
  ],
  [
    'an encrypted key',
    'client_credentials',
    { clientSecret: 'hunter2', clientKey: ENCRYPTED_KEY },
    'secret.clientKey must be',
  ],
  ['no subject token', 'token_exchange', { clientSecret: 'hunter2' }, 'secret.subjectToken is needed'],
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
  expect(problemOf(() => parseOAuth2Secret(secret, parseOAuth2Config({ ...config, ...exchange, grantType })))).toMatch(
    new RegExp(`^The fields? ${problem}`),
  );
});
