import { describe, expect, it } from '@jest/globals';
import type { ICredentialsDecrypted } from 'n8n-workflow';
import { ConfigurationError } from '../../src/errors.ts';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { FakeClient } from './fake-client.ts';

const OAUTH2 = {
  issuer: 'https://auth.example.com',
  clientId: 'c',
  clientSecret: 's',
  grantType: 'client_credentials',
};

function entered(data: ICredentialsDecrypted['data'], id = ''): ICredentialsDecrypted {
  return { id, name: 'My API', type: 'any', ...(data && { data }) };
}

describe('the test of a credential', () => {
  it('answers with what the engine found out, also for values that were not saved', async () => {
    const client = new FakeClient();
    const result = await credentialTests(() => Promise.resolve(client)).oauth2(entered(OAUTH2));
    expect(result).toEqual({ status: 'OK', message: 'auth.example.com accepts the access token.' });
    expect(client.entries[0]?.name).toBe('My API');
  });

  it('says what is wrong and what to do', async () => {
    const client = new FakeClient();
    client.credential.failure = new ConfigurationError(
      'ERR_OAUTH2_INVALID_CLIENT',
      'auth.example.com refused the token request.',
    );
    const { oauth2 } = credentialTests(() => Promise.resolve(client));
    await expect(oauth2(entered(OAUTH2))).resolves.toEqual({
      status: 'Error',
      message:
        'auth.example.com refused the token request. [ERR_OAUTH2_INVALID_CLIENT] Check client id, client secret and the way of client authentication at the authorization server.',
    });
  });

  it('takes a fresh answer where a test is a login, and asks where it presents a token', async () => {
    const asked = async (kind: 'oauth2' | 'basic' | 'ldap' | 'managed', protocol: string) => {
      const client = new FakeClient();
      client.credential.protocol = protocol;
      const data = { ...OAUTH2, credentialId: 'adopted-1', accessKey: 'right key' };
      await credentialTests(() => Promise.resolve(client))[kind](entered(data));
      return client.credential.tests;
    };
    const [fresh, made] = [[{ cached: true }], [undefined]];
    expect(await asked('oauth2', 'oauth2')).toEqual(made);
    expect(await asked('managed', 'oauth2')).toEqual(made);
    expect(await asked('managed', 'ldap')).toEqual(fresh);
    expect(await asked('ldap', 'ldap')).toEqual(fresh);
    expect(await asked('basic', 'basic')).toEqual(fresh);
  });

  it('takes a managed credential with its key, and refuses every other alike', async () => {
    const { managed } = credentialTests(() => Promise.resolve(new FakeClient()));
    const [good, wrongKey, unknown] = await Promise.all([
      managed(entered({ credentialId: 'adopted-1', accessKey: 'right key' })),
      managed(entered({ credentialId: 'adopted-1', accessKey: 'wrong key' })),
      managed(entered({ credentialId: 'adopted-2', accessKey: 'right key' })),
    ]);
    expect(good.status).toBe('OK');
    expect(wrongKey).toEqual(unknown);
    expect(wrongKey.message).toContain('ERR_ACCESS_DENIED');
  });

  it.each(['oauth2', 'basic', 'ldap', 'managed', 'access'] as const)('of kind %s never throws', async (kind) => {
    const closed = credentialTests(() => Promise.reject(new Error('the engine does not open')));
    const open = credentialTests(() => Promise.resolve(new FakeClient()));
    const results = [await closed[kind](entered({})), await closed[kind](entered(undefined))];
    if (kind === 'managed' || kind === 'access') results.push(await open[kind](entered(undefined)));
    for (const result of results)
      expect(result).toMatchObject({ status: 'Error', message: expect.stringContaining('ERR_') });
  });
});
