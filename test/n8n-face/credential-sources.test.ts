import { describe, expect, it } from '@jest/globals';
import { NodeHelpers, type ICredentialDataDecryptedObject } from 'n8n-workflow';
import { managedCredential } from '../../src/n8n/credential-sources.ts';
import { oauth2Entry } from '../../src/n8n/oauth2-entry.ts';
import { oauth2Properties } from '../../src/n8n/oauth2-properties.ts';
import { parseOAuth2Config, parseOAuth2Secret } from '../../src/protocols/oauth2/config.ts';
import { FakeClient } from './fake-client.ts';

/** What n8n hands over: the stored values with the defaults of the fields, without the fields that are not shown. */
function asDecrypted(stored: Record<string, string | number | boolean>): ICredentialDataDecryptedObject {
  const values = NodeHelpers.getNodeParameters(oauth2Properties, stored, true, false, null, null);
  return JSON.parse(JSON.stringify(values)) as ICredentialDataDecryptedObject;
}

const ENTERED = { issuer: ' https://auth.example.com ', clientId: 'client-1', clientSecret: ' s3cret ' };
const ADVANCED = {
  introspectionEndpoint: 'https://auth.example.com/introspect',
  userinfoEndpoint: 'https://auth.example.com/me',
  revocationEndpoint: 'https://auth.example.com/revoke',
  testUrl: 'https://api.example.com/ping',
  reuseGraceMs: 30_000,
  allowInsecureTransport: true,
};

describe('the values of lifecycleOAuth2Api', () => {
  it('become a client credentials registration, with nothing that was not entered', () => {
    expect(oauth2Entry(asDecrypted(ENTERED))).toEqual({
      name: 'client-1 at auth.example.com',
      protocol: 'oauth2',
      config: {
        issuer: 'https://auth.example.com',
        grantType: 'client_credentials',
        clientId: 'client-1',
        clientAuthentication: 'client_secret_basic',
      },
      secret: { clientSecret: ' s3cret ' },
    });
  });

  it('become a refresh token registration with a token endpoint', () => {
    const stored = {
      ...ENTERED,
      grantType: 'refresh_token',
      refreshToken: 'r-1',
      endpointSource: 'tokenEndpoint',
      tokenEndpoint: 'https://auth.example.com/token',
    };
    const { config, secret } = oauth2Entry(asDecrypted(stored));
    expect(config).toMatchObject({ tokenEndpoint: 'https://auth.example.com/token', grantType: 'refresh_token' });
    expect(config).not.toHaveProperty('issuer');
    expect(secret).toEqual({ clientSecret: ' s3cret ', refreshToken: 'r-1' });
  });

  it('keep the advanced settings while they are switched on, and lose them otherwise', () => {
    expect(oauth2Entry(asDecrypted({ ...ENTERED, ...ADVANCED, advanced: true })).config).toMatchObject(ADVANCED);
    expect(oauth2Entry(asDecrypted({ ...ENTERED, ...ADVANCED })).config).toEqual(
      oauth2Entry(asDecrypted(ENTERED)).config,
    );
  });

  it.each([
    ['all defaults', asDecrypted(ENTERED)],
    ['all settings', asDecrypted({ ...ENTERED, ...ADVANCED, scope: 'read write', advanced: true })],
  ])('are what the protocol reads, with %s', (_what, data) => {
    const { config, secret } = oauth2Entry(data);
    expect(() => parseOAuth2Secret(secret, parseOAuth2Config(config))).not.toThrow();
  });

  it.each([
    ['nothing', {}, 'config.issuer'],
    ['no client id', { ...ENTERED, clientId: '' }, 'config.clientId'],
    ['plain http', { ...ENTERED, issuer: 'http://auth.example.com' }, 'config.issuer'],
    ['a grace that is no number', { ...ENTERED, advanced: true, reuseGraceMs: '30s' }, 'config.reuseGraceMs'],
  ])('that are incomplete (%s) are refused by the protocol, which names the field', (_what, stored, field) => {
    const { config } = oauth2Entry(asDecrypted(stored));
    expect(() => parseOAuth2Config(config)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED', message: expect.stringContaining(field) }),
    );
  });

  it('never are refused for a missing secret by showing another one', () => {
    const { config, secret } = oauth2Entry(asDecrypted({ ...ENTERED, clientSecret: '' }));
    expect(() => parseOAuth2Secret(secret, parseOAuth2Config(config))).toThrow(
      expect.objectContaining({ message: expect.stringContaining('secret.clientSecret') }),
    );
  });
});

describe('the values of managedCredentialApi', () => {
  it('lead to the credential with the right key', async () => {
    const client = new FakeClient();
    const handle = await managedCredential.handle(client, { credentialId: ' adopted-1 ', accessKey: 'right key' });
    expect(handle).toBe(client.credential);
  });

  it.each([{ credentialId: 'adopted-1', accessKey: 'wrong' }, { credentialId: 'unknown', accessKey: 'right key' }, {}])(
    'are refused alike: %p',
    async (data) => {
      await expect(managedCredential.handle(new FakeClient(), data)).rejects.toMatchObject({
        code: 'ERR_ACCESS_DENIED',
      });
    },
  );
});
