import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod/v4';
import { type AuthorizationServer, startAuthorizationServer } from '../servers/authorization-server.ts';
import { outputOf, PACKAGE_FOLDER, PackageHost } from './package-host.ts';

const succeeded = z.array(z.object({ headers: z.object({ authorization: z.string() }), marker: z.string() }));
const failed = z.array(z.object({ error: z.object({ message: z.string(), description: z.string() }) }));

// n8n's loader alone takes seconds on a busy machine, and some of these start several processes.
jest.setTimeout(60_000);

let server: AuthorizationServer;
let host: PackageHost;

beforeAll(async () => {
  server = await startAuthorizationServer();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(() => {
  host = new PackageHost();
});
afterEach(() => {
  host.remove();
});

/** Values as n8n hands them over. The issuer's metadata name an introspection endpoint; a token endpoint alone confirms nothing. */
function entered(changes: object = {}): object {
  const { clientId, clientSecret } = server.clients.machine;
  return {
    grantType: 'client_credentials',
    endpointSource: 'issuer',
    issuer: server.issuer,
    clientId,
    clientSecret,
    scope: 'api',
    clientAuthentication: 'client_secret_basic',
    advanced: true,
    allowInsecureTransport: true,
    generationMarker: '',
    ...changes,
  };
}

async function tokenRequestsDuring(work: () => Promise<unknown>): Promise<number> {
  const before = (await server.tokenRequests()).length;
  await work();
  return (await server.tokenRequests()).length - before;
}

const type = 'lifecycleOAuth2Api';

describe('OAuth2 (Lifecycle) of the built package', () => {
  it('gets one token for 20 requests at once', async () => {
    let results: unknown[] = [];
    const requests = await tokenRequestsDuring(async () => {
      const ended = await host.run([{ do: 'requests', type, values: entered(), count: 20 }]);
      results = [...ended.results];
      expect(ended.complaints).toBe('');
    });
    expect(requests).toBe(1);
    const authenticated = succeeded.parse(results[0]);
    expect(authenticated).toHaveLength(20);
    expect(new Set(authenticated.map(({ headers }) => headers.authorization)).size).toBe(1);
    const accepted = await fetch(server.resourceUrl, { headers: authenticated[0]?.headers ?? {} });
    expect(accepted.status).toBe(200);
  });

  it('gets no second token in a second process: the first one is in the database', async () => {
    const step = { do: 'requests', type, values: entered(), count: 5 } as const;
    await host.run([step]);
    expect(await tokenRequestsDuring(() => host.run([step]))).toBe(0);
  });

  it('gets one token for four processes that start at once on an n8n folder where no engine ever was', async () => {
    const requests = await tokenRequestsDuring(async () => {
      const step = { do: 'requests', type, values: entered(), count: 5 } as const;
      const ended = await Promise.all([1, 2, 3, 4].map(() => host.run([step])));
      for (const { results } of ended) expect(succeeded.parse(results[0])).toHaveLength(5);
    });
    expect(requests).toBe(1);
  });

  it('shares one engine between two loaded copies of the package', async () => {
    const copy = join(host.userFolder, 'n8n-nodes-credential-lifecycle');
    mkdirSync(copy);
    cpSync(join(PACKAGE_FOLDER, 'dist'), join(copy, 'dist'), { recursive: true });
    cpSync(join(PACKAGE_FOLDER, 'package.json'), join(copy, 'package.json'));
    symlinkSync(join(PACKAGE_FOLDER, 'node_modules'), join(copy, 'node_modules'));
    const requests = await tokenRequestsDuring(async () => {
      const steps = [
        { do: 'requests', type, values: entered(), count: 20, copies: true },
        { do: 'loadedModules', matching: 'dist/src/engine.js' },
      ] as const;
      const { results } = await host.run(steps, [PACKAGE_FOLDER, copy]);
      expect(succeeded.parse(results[0])).toHaveLength(20);
      expect(results[1]).toHaveLength(1);
    });
    expect(requests).toBe(1);
  });

  it('asks the server before it believes a rejection, and keeps the token when the server does', async () => {
    const requests = await tokenRequestsDuring(async () => {
      const { results } = await host.run([{ do: 'requests', type, values: entered(), count: 20, rejected: true }]);
      expect(succeeded.parse(results[0])).toHaveLength(20);
    });
    expect(requests).toBe(1);
  });

  it('refreshes once for 20 rejections at once that nobody can confirm', async () => {
    const values = entered({ endpointSource: 'tokenEndpoint', tokenEndpoint: server.tokenEndpoint });
    const requests = await tokenRequestsDuring(async () => {
      const { results } = await host.run([{ do: 'requests', type, values, count: 20, rejected: true }]);
      const markers = succeeded.parse(results[0]).map(({ marker }) => marker);
      expect(new Set(markers)).toEqual(new Set([expect.stringMatching(/^generation:2@/)]));
    });
    expect(requests).toBe(2);
  });

  it('says what is wrong with a wrong secret, once, to all who wait', async () => {
    const requests = await tokenRequestsDuring(async () => {
      const values = entered({ clientSecret: 'not the secret' });
      const { results } = await host.run([{ do: 'requests', type, values, count: 20 }]);
      for (const { error } of failed.parse(results[0])) expect(error.message).toMatch(/\[ERR_[A-Z0-9_]+\]$/);
    });
    expect(requests).toBe(1);
  });

  it('gives nothing to somebody who knows all but the secret', async () => {
    const good = { do: 'requests', type, values: entered(), count: 1 } as const;
    const stranger = { do: 'requests', type, values: entered({ clientSecret: 'a guess' }), count: 1 } as const;
    const { results } = await host.run([good, stranger]);
    expect(succeeded.parse(results[0])).toHaveLength(1);
    expect(failed.parse(results[1])[0]?.error.message).toContain('[ERR_');
  });
});

describe('the test of the built OAuth2 (Lifecycle)', () => {
  const UNSAVED: readonly [string, object, object][] = [
    ['the right secret', {}, { status: 'OK', message: expect.any(String) }],
    [
      'a wrong secret',
      { clientSecret: 'no' },
      { status: 'Error', message: expect.stringContaining('ERR_OAUTH2_INVALID_CLIENT') },
    ],
    ['no issuer', { issuer: '' }, { status: 'Error', message: expect.stringContaining('ERR_CONFIG_MALFORMED') }],
    [
      'plain http without the switch',
      { allowInsecureTransport: false },
      { status: 'Error', message: expect.stringContaining('allowInsecureTransport') },
    ],
  ];
  let answers: readonly unknown[];

  beforeAll(async () => {
    const tester = new PackageHost();
    const steps = UNSAVED.map(([, changes]) => ({ do: 'test', type, values: entered(changes) }) as const);
    answers = (await tester.run(steps)).results;
    tester.remove();
  });

  it.each(UNSAVED.map(([what, , expected], index) => [what, index, expected] as const))(
    'answers to unsaved values with %s',
    (_what, index, expected) => {
      expect(answers[index]).toEqual(expected);
    },
  );
});

describe('the engine of the built package', () => {
  it('lives in a folder of n8n that only its owner can read, and holds no secret in clear', async () => {
    const { results } = await host.run([{ do: 'requests', type, values: entered(), count: 1 }]);
    const token = succeeded.parse(results[0])[0]?.headers.authorization.replace('Bearer ', '') ?? '';
    expect(token.length).toBeGreaterThan(10);
    expect(statSync(host.engineFolder).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(host.engineFolder)) {
      const bytes = readFileSync(join(host.engineFolder, file));
      for (const secret of [token, server.clients.machine.clientSecret]) {
        for (const encoding of ['utf8', 'base64', 'hex'] as const) {
          expect(bytes.includes(Buffer.from(secret).toString(encoding).replace(/=+$/, ''))).toBe(false);
        }
      }
    }
  });

  it('does not keep its host alive, and is closed when its host ends', async () => {
    const { code } = await host.run([{ do: 'requests', type, values: entered(), count: 1 }]);
    expect(code).toBe(0);
    expect(readdirSync(host.engineFolder)).toEqual(['credentials.db']);
  });

  it('loses nothing when its host calls process.exit', async () => {
    const request = { do: 'requests', type, values: entered(), count: 1 } as const;
    await host.run([request, { do: 'exit' }]);
    expect(await tokenRequestsDuring(() => host.run([request]))).toBe(0);
  });

  it('leaves signals to its host', async () => {
    const child = host.start([{ do: 'requests', type, values: entered(), count: 1 }, { do: 'stay' }]);
    await once(outputOf(child.stdout), 'data');
    child.kill('SIGTERM');
    await once(child, 'close');
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('says in one line that the key of n8n is another one, and changes nothing', async () => {
    const request = { do: 'requests', type, values: entered(), count: 1 } as const;
    await host.run([request]);
    host.setEncryptionKey('another key');
    const { results } = await host.run([request]);
    expect(failed.parse(results[0])[0]?.error.message).toContain('[ERR_KEYRING_MASTER_KEY_MISMATCH]');
  });
});
