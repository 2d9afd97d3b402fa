// One of the engines that are killed: the built package in a process of its own, with a keeper and a few callers.
import { createRequire } from 'node:module';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

const require = createRequire(import.meta.url);
/** @type {any} */
const index = require('../../../dist/src/index.js');
const { CredentialEngine } = index;
/** @type {typeof import('../../../src/ports.ts')} */
const { systemFetch } = require('../../../dist/src/ports.js');

/** @typedef {{ name: string, database: string, masterKey: string, callers: number }} Settings */

/** @type {Settings} */
const { name, database, masterKey, callers } = JSON.parse(process.argv[2] ?? '{}');

/** @param {object} message */
function tell(message) {
  if (process.connected && process.send) process.send(message);
}

/**
 * Names us to the issuer and tells our starter when a request leaves and when its answer is here: the instants to kill at.
 * @param {string} url
 * @param {import('../../../src/ports.ts').FetchInit} [init]
 */
async function tellingFetch(url, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('x-presenter', name);
  const { beforeWrite, ...plain } = init;
  const asked = beforeWrite && {
    beforeWrite: async () => {
      const mayLeave = await beforeWrite();
      tell({ instant: 'sending' });
      return mayLeave;
    },
  };
  const response = await systemFetch(url, { ...plain, headers, ...asked });
  tell({ instant: 'received' });
  return response;
}

const engine = await CredentialEngine.open({
  database,
  masterKey: Buffer.from(masterKey, 'hex'),
  keeper: callers > 0,
  ports: { fetch: Object.assign(tellingFetch, { connectsFirst: true }) },
});

/** @type {Map<string, number>} */
const generations = new Map();

/** @type {string[]} */
let living = [];

/** Learns now and then which credentials are not given up: a list of all of them costs more than the work with one. */
async function watch() {
  for (;;) {
    try {
      /** @type {{ credentials: { id: string, state: string }[] }} */
      const { credentials } = await engine.list({ limit: 1_000 });
      living = credentials.filter(({ state }) => state !== 'expired.needsUser').map(({ id }) => id);
    } catch (error) {
      tellError(error);
    }
    await delay(5_000);
  }
}

/** @param {unknown} error an unexpected one tells where it came from: nobody will ask it again */
function tellError(error) {
  if (!(error instanceof Error && 'code' in error)) tell({ error: String(error) });
  else if (error.code === 'ERR_INTERNAL') tell({ error: `ERR_INTERNAL ${JSON.stringify(error.cause)}` });
  else tell({ error: error.code });
}

/** @param {string} id */
async function work(id) {
  const { generation } = await engine.use(id);
  if (generation < (generations.get(id) ?? 0)) tell({ error: 'GENERATION_WENT_BACK' });
  generations.set(id, Math.max(generation, generations.get(id) ?? 0));
  // Now and then a person clicks. On a grant that is in doubt he would be answered by a request, whatever it costs.
  if (Math.random() < 0.02 && (await engine.get(id)).state === 'valid.fresh') await engine.refresh(id);
}

async function call() {
  for (;;) {
    await delay(50 + Math.random() * 400);
    const id = living[Math.floor(Math.random() * living.length)];
    if (id !== undefined) await work(id).catch(tellError);
  }
}

process.on('message', async (message) => {
  const { sequence, register } = /** @type {{ sequence: number, register?: object }} */ (message);
  if (!register) {
    await engine.close();
    process.exit(0);
  }
  try {
    tell({ sequence, id: (await engine.register(register)).id });
  } catch (error) {
    tell({ sequence, failure: String(error) });
  }
});
process.once('disconnect', () => process.exit(0));
tell({ ready: true });
if (callers > 0) void watch();
for (let caller = 0; caller < callers; caller += 1) void call();
