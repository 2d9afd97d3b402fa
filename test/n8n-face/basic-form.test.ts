import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ICredentialDataDecryptedObject } from 'n8n-workflow';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { authenticationThrough } from '../../src/n8n/adapter.ts';
import { lifecycleBasic, managedCredential } from '../../src/n8n/credential-sources.ts';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { PasswordService } from '../servers/password-service.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { Host } from './host.ts';

let service: PasswordService;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;

beforeAll(async () => {
  service = await PasswordService.start();
});
afterAll(async () => {
  await service.stop();
});
beforeEach(async () => {
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  service.logins = 0;
});
afterEach(async () => {
  await engine.close();
  folder.dispose();
});

const client = () => Promise.resolve(createEmbeddedClient(engine));
const twenty = Array.from({ length: 20 });

function form(changes: object = {}): ICredentialDataDecryptedObject {
  return {
    ...{ username: service.username, password: service.password, testUrl: `${service.url}/whoami` },
    ...{ advanced: true, allowInsecureTransport: true, ...changes },
  };
}

function host(data: ICredentialDataDecryptedObject, status = 200): Host {
  return new Host(authenticationThrough(lifecycleBasic, { client }), data, () => status);
}

function test(data: ICredentialDataDecryptedObject) {
  return credentialTests(client).basic({ id: '', name: 'Legacy', type: 'lifecycleBasicApi', data });
}

describe('Basic Auth (Lifecycle)', () => {
  it('proves its password once for 20 requests at once, and puts it on each', async () => {
    const one = host(form());
    await Promise.all(twenty.map(() => one.request({ url: 'https://api.example.com' })));
    expect([one.sent, service.logins]).toEqual([20, 1]);
    const { authenticate } = authenticationThrough(lifecycleBasic, { client });
    const { headers } = await authenticate(form(), { url: 'https://api.example.com' });
    const expected = Buffer.from(`${service.username}:${service.password}`).toString('base64');
    expect(headers).toEqual({ authorization: `Basic ${expected}` });
  });

  it('sends none of 20 requests with a password that its test URL refuses, and asks there once', async () => {
    const one = host(form({ password: 'wrong' }));
    await Promise.all(
      twenty.map(() =>
        expect(one.request({ url: 'https://api.example.com' })).rejects.toMatchObject({
          message: expect.stringContaining('[ERR_BASIC_REFUSED]'),
        }),
      ),
    );
    expect([one.sent, service.logins]).toEqual([0, 1]);
  });

  it('asks once for a wrong password, however many tests and forms want to know', async () => {
    for (const maxPasswordAgeDays of [30, 60, 30, 60]) {
      const { status, message } = await test(form({ password: 'wrong', maxPasswordAgeDays }));
      expect([status, message]).toEqual(['Error', expect.stringContaining('[ERR_BASIC_REFUSED] Check user name')]);
      expect(message).not.toContain('wrong');
    }
    expect(service.logins).toBe(1);
  });

  it('asks again at once by another rule', async () => {
    expect(await test(form({ testBodyIncludes: 'Hello' }))).toMatchObject({ status: 'Error' });
    expect(await test(form({ testBodyIncludes: 'Welcome' }))).toMatchObject({ status: 'OK' });
    expect(await test(form({ testStatus: '204' }))).toMatchObject({ status: 'Error' });
  });

  it('is asked at most once more when an API refuses it, and presented to that API once for each request', async () => {
    const one = host(form(), 401);
    await Promise.all(
      twenty.map(() => expect(one.request({ url: 'https://api.example.com' })).rejects.toMatchObject({ status: 401 })),
    );
    expect([one.sent, one.writes, service.refusedLogins]).toEqual([20, 0, expect.any(Number)]);
    expect(service.logins).toBeLessThanOrEqual(2);
  });

  it('is presented anew when it was replaced in the engine meanwhile', async () => {
    const secret = { password: 'first' };
    const { id } = await engine.register({ protocol: 'basic', name: 'Robot', config: { username: 'robot' }, secret });
    const { accessKey } = await engine.grant(id, { scopes: ['use'] });
    const { preAuthentication, authenticate } = authenticationThrough(managedCredential, { client });
    const data: ICredentialDataDecryptedObject = { credentialId: id, accessKey };
    const request = { url: 'https://api.example.com' };
    const before = await authenticate(data, request);
    await engine.update(id, { secret: { password: 'second' } });
    // The API has refused the first one.
    expect(await preAuthentication(data)).toHaveProperty('generationMarker');
    const after = await authenticate(data, request);
    expect(after.headers).not.toEqual(before.headers);
    expect(after.headers).toEqual({ authorization: `Basic ${Buffer.from('robot:second').toString('base64')}` });
  });
});
