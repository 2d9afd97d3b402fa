import { describe, expect, it } from '@jest/globals';
import type { ICredentialDataDecryptedObject } from 'n8n-workflow';
import { ConfigurationError, ReauthorizationRequiredError } from '../../src/errors.ts';
import { authenticationThrough } from '../../src/n8n/adapter.ts';
import { MARKER_PROPERTY, markerOf } from '../../src/n8n/marker.ts';
import type { Directory } from '../../src/protocols/directory.ts';
import { FakeCredential } from './fake-client.ts';
import { type Api, Host } from './host.ts';

const REQUEST = { url: 'https://api.example.com/things' };
const twenty = Array.from({ length: 20 });

function typeOver(credential: FakeCredential) {
  const source = { type: 'lifecycleOAuth2Api', handle: () => Promise.resolve(credential) };
  return authenticationThrough(source, { client: () => Promise.reject(new Error('not needed here')) });
}

/** As above, with a client, since the source of the real types gets one. */
function typeWith(credential: FakeCredential) {
  const source = { type: 'lifecycleOAuth2Api', handle: () => Promise.resolve(credential) };
  return authenticationThrough(source, { client: () => Promise.resolve(NO_CLIENT) });
}
const NO_CLIENT = {
  adopted: () => Promise.reject(new Error('unexpected')),
  managed: () => Promise.reject(new Error('unexpected')),
  operator: () => Promise.reject(new Error('unexpected')),
};

/** Its material stays the same, whatever is refreshed. */
class Password extends FakeCredential {
  override get token(): string {
    return 'password';
  }
}

/** An API that takes the token of one generation only. */
function takes(generation: number): Api {
  return ({ authorization }) => (authorization === `Bearer token-of-generation-${String(generation)}` ? 200 : 401);
}

function hostWith(credential: FakeCredential, api: Api, stored: ICredentialDataDecryptedObject = {}): Host {
  return new Host(typeWith(credential), stored, api);
}

describe('authenticate', () => {
  it('puts the material on a copy and leaves the options that n8n shows and stores untouched', async () => {
    const options = { ...REQUEST, headers: { accept: 'text/plain' } };
    const authenticated = await typeWith(new FakeCredential()).authenticate({}, options);
    expect(authenticated.headers).toEqual({ accept: 'text/plain', authorization: 'Bearer token-of-generation-1' });
    expect(options).toEqual({ ...REQUEST, headers: { accept: 'text/plain' } });
  });

  it('replaces the header of an earlier call, whatever its letter case', async () => {
    const credential = new FakeCredential();
    const type = typeWith(credential);
    const once = await type.authenticate({}, { ...REQUEST, headers: { Authorization: 'Bearer of somebody else' } });
    credential.current = 2;
    const twice = await type.authenticate({}, once);
    expect(once.headers).toEqual({ authorization: 'Bearer token-of-generation-1' });
    expect(twice.headers).toEqual({ authorization: 'Bearer token-of-generation-2' });
  });

  it('leaves on the values the generation that it used, and no token', async () => {
    const credential = new FakeCredential();
    credential.current = 7;
    const data: ICredentialDataDecryptedObject = { [MARKER_PROPERTY]: markerOf(credential.id, 3) };
    await typeWith(credential).authenticate(data, REQUEST);
    expect(data).toEqual({ [MARKER_PROPERTY]: markerOf(credential.id, 7) });
    expect(JSON.stringify(data)).not.toContain(credential.token);
  });

  it('hands the end of the execution to the engine', async () => {
    const credential = new FakeCredential();
    const { signal } = new AbortController();
    await typeWith(credential).authenticate({}, { ...REQUEST, abortSignal: signal });
    expect(credential.signals).toEqual([signal]);
  });

  it('fails with the sentence, the code and what to do, without a cause', async () => {
    const credential = new FakeCredential();
    credential.failure = new ConfigurationError(
      'ERR_OAUTH2_INVALID_CLIENT',
      'auth.example.com refused the token request.',
    );
    const failure = typeWith(credential).authenticate({}, REQUEST);
    await expect(failure).rejects.toMatchObject({
      message: 'auth.example.com refused the token request. [ERR_OAUTH2_INVALID_CLIENT]',
      description: 'Check client id, client secret and the way of client authentication at the authorization server.',
    });
    await expect(failure).rejects.not.toHaveProperty('cause');
  });

  it('refuses what has no headers, instead of sending a request without authentication', async () => {
    const credential = new FakeCredential();
    const directory = {} as Directory;
    credential.use = () => Promise.resolve({ headers: {}, directory, expiresAt: null, generation: 1 });
    await expect(typeWith(credential).authenticate({}, REQUEST)).rejects.toMatchObject({
      message: expect.stringContaining('[ERR_CREDENTIAL_PROTOCOL_MISMATCH]'),
    });
  });

  it('says an engine that does not open in the same way', async () => {
    await expect(typeOver(new FakeCredential()).authenticate({}, REQUEST)).rejects.toMatchObject({
      message: 'An unexpected Error occurred. [ERR_INTERNAL]',
    });
  });
});

describe('a request of n8n', () => {
  it('is sent once and makes n8n write nothing while all is well', async () => {
    const credential = new FakeCredential();
    const host = hostWith(credential, takes(1));
    await Promise.all(twenty.map(() => host.request(REQUEST)));
    expect(host).toMatchObject({ sent: 20, writes: 0 });
    expect(credential.reported).toEqual([]);
  });

  it('is repeated with new material after a rejection, and 20 at once report the same generation', async () => {
    const credential = new FakeCredential();
    const host = hostWith(credential, takes(2));
    await Promise.all(twenty.map(() => host.request(REQUEST)));
    expect(credential.current).toBe(2);
    expect(new Set(credential.reported)).toEqual(new Set([1]));
  });

  it('reports the generation that it carried, not the one that n8n stored long ago', async () => {
    const credential = new FakeCredential();
    credential.current = 5;
    const host = hostWith(credential, takes(6), { [MARKER_PROPERTY]: markerOf(credential.id, 1) });
    await host.request(REQUEST);
    expect(credential.reported).toEqual([5]);
    expect(host.stored[MARKER_PROPERTY]).toBe(markerOf(credential.id, 6));
  });

  it('gets the newer material without a report to the other side when another execution refreshed meanwhile', async () => {
    const credential = new FakeCredential();
    const host = hostWith(credential, (headers) => {
      // Between the request and its answer somebody else refreshes.
      if (credential.current === 1) credential.current = 2;
      return takes(2)(headers);
    });
    await host.request(REQUEST);
    expect(credential.current).toBe(2);
    expect(host.sent).toBe(2);
  });

  it.each(['accepted', 'unconfirmable'] as const)(
    'is not repeated when the token is %s: n8n shows the answer of the API',
    async (confirmation) => {
      const credential = new FakeCredential();
      credential.confirmation = confirmation;
      const host = hostWith(credential, () => 404);
      await expect(host.request(REQUEST)).rejects.toMatchObject({ status: 404 });
      expect(host).toMatchObject({ sent: 1, writes: 0 });
      expect(credential.reported).toEqual([1]);
    },
  );

  it('fails with the reason when the token was rejected and there is no way to another one', async () => {
    const credential = new FakeCredential();
    credential.confirmation = 'unconfirmable';
    const host = hostWith(credential, () => {
      // What the engine finds out when it tries to refresh.
      credential.failure = new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'The grant was revoked.');
      return 401;
    });
    await expect(host.request(REQUEST)).rejects.toMatchObject({
      message: 'The grant was revoked. [ERR_OAUTH2_INVALID_GRANT]',
    });
    expect(host.sent).toBe(1);
  });

  it('is not repeated when what a refresh brought is the same password: another try would count', async () => {
    const credential = new Password();
    const host = hostWith(credential, () => 401);
    await Promise.all(twenty.map(() => expect(host.request(REQUEST)).rejects.toMatchObject({ status: 401 })));
    expect(host).toMatchObject({ sent: 20, writes: 0 });
    expect(credential.current).toBeGreaterThan(1);
  });

  it('that never got material is not reported as rejected', async () => {
    const credential = new FakeCredential();
    credential.failure = new ConfigurationError('ERR_CREDENTIAL_MISCONFIGURED', 'The client secret is wrong.');
    const host = hostWith(credential, takes(1), { [MARKER_PROPERTY]: markerOf(credential.id, 1) });
    await expect(host.request(REQUEST)).rejects.toMatchObject({
      message: expect.stringContaining('ERR_CREDENTIAL_MISCONFIGURED'),
    });
    expect(credential.reported).toEqual([]);
    expect(host.sent).toBe(0);
  });
});

describe('preAuthentication', () => {
  it('takes the marker of other values for no generation of these', async () => {
    const credential = new FakeCredential('after the edit');
    credential.current = 3;
    const output = await typeWith(credential).preAuthentication({ [MARKER_PROPERTY]: markerOf('before the edit', 9) });
    expect(credential.reported).toEqual([]);
    expect(output).toEqual({ [MARKER_PROPERTY]: markerOf('after the edit', 3) });
  });

  it('returns nothing but the marker, so that n8n stores nothing else', async () => {
    const credential = new FakeCredential();
    const data = { clientSecret: 'a secret', [MARKER_PROPERTY]: markerOf(credential.id, 1) };
    const output = await typeWith(credential).preAuthentication(data);
    expect(output).toEqual({ [MARKER_PROPERTY]: markerOf(credential.id, 2) });
  });
});
