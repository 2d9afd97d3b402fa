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

  it.each(['oauth2', 'managed', 'access'] as const)('of kind %s never throws', async (kind) => {
    const closed = credentialTests(() => Promise.reject(new Error('the engine does not open')));
    const open = credentialTests(() => Promise.resolve(new FakeClient()));
    const results = [await closed[kind](entered({})), await closed[kind](entered(undefined))];
    if (kind !== 'oauth2') results.push(await open[kind](entered(undefined)));
    for (const result of results)
      expect(result).toMatchObject({ status: 'Error', message: expect.stringContaining('ERR_') });
  });
});
