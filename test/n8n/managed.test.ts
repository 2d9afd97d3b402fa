import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import { errorOf, World } from './world.ts';

const started = Started.inSuite();
let world: World;
let id: string;
let accessKey: string;

beforeAll(async () => {
  world = await started.add(World.start());
  id = await world.registered('Managed');
  accessKey = await issueKey(id);
});

function issueKey(credentialId: string): Promise<string> {
  return world.withEngine(async (engine) => (await engine.grant(credentialId, { scopes: ['use'] })).accessKey);
}

function managed(data: Record<string, string>) {
  return world.n8n.createCredential('managedCredentialApi', 'Managed', data);
}

describe('an HTTP Request node with Managed Credential', () => {
  it('uses the credential of the engine, with no token request of its own', async () => {
    const calls = await world.calling(await managed({ credentialId: id, accessKey }));
    const requests = await world.during(async () => {
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests).toMatchObject({ token: 0, resource: 20 });
  });

  it('gets one new token for 20 items after the token was revoked at the server', async () => {
    const calls = await world.calling(await managed({ credentialId: id, accessKey }));
    await world.server.revokeAccessTokens('machine');
    const requests = await world.during(async () => {
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests.token).toBe(1);
  });

  it('answers alike to a wrong key, the key of another credential, an unknown id and no id', async () => {
    const otherId = await world.registered('Another');
    const attempts = [
      { credentialId: id, accessKey: accessKey.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) },
      { credentialId: id, accessKey: await issueKey(otherId) },
      { credentialId: otherId, accessKey },
      { credentialId: 'cr_00000000000000000000', accessKey },
      { credentialId: '', accessKey: '' },
    ];
    const answers: unknown[] = [];
    for (const data of attempts) {
      const calls = await world.calling(await managed(data));
      await calls.run(1);
      const { message, description } = errorOf(await calls.lastExecution());
      const test = await world.n8n.testCredential({ id: '', name: 'Guess', type: 'managedCredentialApi' }, data);
      answers.push({ message, description, test });
    }
    expect(answers[0]).toEqual({
      message: expect.stringMatching(/\[ERR_ACCESS_DENIED\]$/),
      description: expect.stringContaining('credlife grant'),
      test: { status: 'Error', message: expect.stringContaining('[ERR_ACCESS_DENIED]') },
    });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });
});

describe('the test of Managed Credential', () => {
  it('answers OK with the right key', async () => {
    const data = { credentialId: id, accessKey };
    await expect(world.n8n.testCredential(await managed(data), data)).resolves.toMatchObject({ status: 'OK' });
  });
});
