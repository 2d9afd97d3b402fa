// An engine of the built package in a process of its own, driven over IPC: { sequence, verb, args } -> { sequence, value | error }.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { CredentialEngine } = require('../../../dist/src/index.js');
const { systemClock } = require('../../../dist/src/ports.js');
const { database, masterKey, keeper, budgets, aheadMs } = JSON.parse(process.argv[2]);

/** What others left behind is older for this process than it is: leases and tokens need not be waited out. */
const clock = {
  ...systemClock,
  now: () => new Date(systemClock.now().getTime() + aheadMs),
  hostTime: () => ({ ...systemClock.hostTime(), ms: systemClock.hostTime().ms + aheadMs }),
};
const engine = await CredentialEngine.open({
  ports: { clock },
  masterKey: Buffer.from(masterKey, 'hex'),
  ...{ database, keeper, budgets },
});
engine.on('*', (event) => send({ event }));

function send(message) {
  if (process.connected) process.send(message);
}

const verbs = {
  use: async (id) => (await engine.use(id)).generation,
  /** That many callers at once. What each got: a generation, or the code of its error. */
  useMany: (id, callers) =>
    Promise.all(
      Array.from({ length: callers }, () =>
        engine.use(id).then(
          (used) => used.generation,
          (error) => error.code,
        ),
      ),
    ),
  refresh: async (id) => (await engine.refresh(id)).generation,
  get: (id) => engine.get(id),
  authorize: (id, options) => engine.authorize(id, options),
  reauthorize: (id, answer) => engine.reauthorize(id, answer),
  reportRejected: (id, generation) => engine.reportRejected(id, generation),
  webhooks: (verb, ...args) => engine.webhooks[verb](...args),
  adopt: (entry) => engine.adopt(entry),
  /** Refreshes each credential again and again, until the process is killed. */
  hammer: (ids) => {
    for (const id of ids) void hammer(id);
  },
  close: async () => {
    await engine.close();
    setImmediate(() => process.disconnect());
  },
};

async function hammer(id) {
  for (;;) await engine.refresh(id).catch((error) => send({ hammerError: error.code ?? String(error) }));
}

process.on('message', async ({ sequence, verb, args }) => {
  try {
    send({ sequence, value: await verbs[verb](...args) });
  } catch (error) {
    send({ sequence, error: { code: error.code ?? String(error), message: error.message } });
  }
});
process.send({ ready: true });
