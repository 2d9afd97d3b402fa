// The built engine at work until it is killed: two lanes on one database, one that registers and refreshes credentials and
// one that rotates, re-encrypts and changes the passphrase. What was acknowledged is told over IPC, intents before it.
import { createRequire } from 'node:module';

const { CredentialEngine } = createRequire(import.meta.url)('../../dist/src/index.js');
const { database, passphrase, nextPassphrase, ids, course } = JSON.parse(process.argv[2]);

/** A token endpoint that answers at once; each token is one of a kind. */
async function fetch() {
  const token = `token-${crypto.randomUUID()}`;
  const body = JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 86_400 });
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

/** Resolves when the parent has it: what was told before the kill counts, and nothing else. */
function tell(message) {
  return new Promise((resolve) => process.send(message, resolve));
}

const engine = await CredentialEngine.open({ database, masterKey: { passphrase }, ports: { fetch } });

async function acknowledge(id) {
  const { headers, generation } = await engine.use(id);
  await tell({ acknowledged: { id, generation, authorization: headers.authorization } });
}

const verbs = {
  register: async () => {
    if (ids.length >= 24) return;
    const { id } = await engine.register({
      protocol: 'oauth2',
      name: 'Victim',
      config: {
        tokenEndpoint: 'http://127.0.0.1:9/token',
        grantType: 'client_credentials',
        clientId: 'c',
        allowInsecureTransport: true,
      },
      secret: { clientSecret: 'client-secret' },
      test: false,
    });
    ids.push(id);
    await acknowledge(id);
  },
  refresh: async (chance) => {
    const id = ids[Math.floor(chance * ids.length)];
    if (id === undefined) return;
    await engine.refresh(id);
    await acknowledge(id);
  },
  rotate: async () => {
    const { keyId } = await engine.keys.rotate();
    await tell({ rotated: keyId });
  },
  reEncrypt: async () => {
    const { reEncrypted } = await engine.keys.reEncrypt();
    await tell({ reEncrypted });
  },
  changePassphrase: async () => {
    await tell({ intended: nextPassphrase });
    await engine.keys.changeMasterKey({ passphrase: nextPassphrase });
    await tell({ changed: nextPassphrase });
  },
};

async function lane(steps) {
  for (const { verb, chance } of steps) {
    await verbs[verb](chance).catch((error) => tell({ failed: { verb, code: error.code ?? String(error) } }));
  }
}

await tell({ ready: true });
await Promise.all(course.map(lane));
await tell({ finished: true });
// Waits to be killed all the same.
setInterval(() => undefined, 1_000);
