// Ten thousand credentials whose tokens end within one minute, at a server that allows 100 requests in any two seconds. Two
// keepers on one database refresh them; the server's own log is the judge. Draws the requests over time into docs/expiry.svg.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { drawExpiry } from './expiry-plot.mjs';
import { markdownTable } from './harness.mjs';

const require = createRequire(import.meta.url);
const CREDENTIALS = Number(process.env.CREDLIFE_BENCH_CREDENTIALS ?? 10_000);
const KEEPERS = 2;
const BUDGET = { requests: 100, perMs: 2_000 };
const SINCE_ISSUE_MS = 300_000;
const LEFT_MS = 300_000;
const ENDS_WITHIN_MS = 60_000;
const MASTER_KEY = Buffer.alloc(32, 7);
const MEBIBYTE = 2 ** 20;
/** Without a limit V8 lets garbage pile up before it looks: then resident memory tells of V8 and not of us. */
const HEAP = ['--max-old-space-size=64', '--max-semi-space-size=4'];

/** The token endpoint, in a process of its own: it refuses what is above its limit, and writes everything down. */
async function serve() {
  const arrivals = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const now = Date.now();
      const name = /scope=n(\d+)/.exec(Buffer.concat(chunks).toString())?.[1];
      const isAllowed = arrivals.filter(({ at }) => at > now - BUDGET.perMs).length < BUDGET.requests;
      arrivals.push({ at: now, credential: Number(name), status: isAllowed ? 200 : 429 });
      response.writeHead(isAllowed ? 200 : 429, { 'content-type': 'application/json' });
      const token = { access_token: `token-${name}-${arrivals.length}`, token_type: 'Bearer', expires_in: 3_600 };
      response.end(JSON.stringify(isAllowed ? token : { error: 'slow_down' }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.on('message', () => process.send({ arrivals }));
  process.send({ url: `http://127.0.0.1:${server.address().port}` });
}

/** One keeper. Says how its memory went, every second. */
async function keep({ database, budgets }) {
  const { CredentialEngine } = require('../dist/src/index.js');
  const engine = await CredentialEngine.open({ database, masterKey: MASTER_KEY, budgets });
  globalThis.gc();
  const before = process.memoryUsage();
  await engine.close();
  const keeper = await CredentialEngine.open({ database, masterKey: MASTER_KEY, budgets, keeper: true });
  let rss = 0;
  const timer = setInterval(() => (rss = Math.max(rss, process.memoryUsage().rss)), 500);
  process.on('message', async () => {
    clearInterval(timer);
    globalThis.gc();
    const { heapUsed } = process.memoryUsage();
    process.send({ rss: (rss - before.rss) / MEBIBYTE, heap: (heapUsed - before.heapUsed) / MEBIBYTE });
    await keeper.close();
    process.disconnect();
  });
  process.send({ ready: true });
}

/** Credentials as an engine with this budget leaves them: sealed secrets, sealed grants, and due times planned by its policy. */
async function fill(database, url, budgets) {
  const built = (file) => require(`../dist/src/${file}.js`);
  const { silentLogger, systemClock, systemFetch, systemRandom } = built('ports');
  const ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const stores = await built('storage/open').openStores(database, ports);
  const opened = await built('vault/open-vault').openVault(stores, { masterKey: MASTER_KEY }, ports);
  const { records } = stores;
  const { vault } = opened;
  const { OAuth2Driver } = built('protocols/oauth2/driver');
  const drivers = new (built('protocols/protocol').ProtocolRegistry)([new OAuth2Driver(ports)]);
  const { Budgets } = built('resilience/budgets');
  const gate = new (built('resilience/endpoint-gate').EndpointGate)({
    ports,
    records,
    vault,
    budgets: new Budgets(budgets),
  });
  // Nothing but refreshes is due here.
  const planHealth = () => ({ testDueAt: null, noticeDueAt: null });
  const surroundings = { ports, records, vault, drivers, gate, planHealth, owner: 'bench' };
  const { settleRefreshed } = built('lifecycle/policy');
  const { encodeSealedGrant } = built('lifecycle/sealed-grant');
  const { Secret } = built('secret');
  const crowdMs = (CREDENTIALS * BUDGET.perMs) / BUDGET.requests;
  const registered = [];
  for (let index = 0; index < CREDENTIALS; index += 1) {
    registered.push(await built('lifecycle/register').registerRecord(surroundings, entryOf(index, url)));
  }
  const startMs = Date.now();
  const planned = [];
  for (const [index, record] of registered.entries()) {
    const issuedAt = new Date(startMs - SINCE_ISSUE_MS);
    const expiresAt = new Date(startMs + LEFT_MS + (index * ENDS_WITHIN_MS) / CREDENTIALS);
    const grant = Secret.of({ accessToken: `token-${index}-0`, refreshToken: null, scope: null });
    const issued = { grant, issuedAt, expiresAt, refreshable: true };
    const pointer = { field: 'grant', generation: 1, attemptId: 'filled' };
    await vault.put(record, pointer, encodeSealedGrant(issued));
    const settlement = settleRefreshed(record.id, issued, { learnedLifeMs: null, crowdMs });
    planned.push(settlement.refreshDueAt.getTime());
    const next = { ...record, ...settlement, grant: pointer, generation: 1, revision: 2, issuedAt, expiresAt };
    await records.compareAndSet({ record: next, expectedRevision: 1 });
  }
  await opened.close();
  await records.close();
  return { startMs, planned };
}

function entryOf(index, url) {
  const config = {
    ...{ tokenEndpoint: `${url}/token`, grantType: 'client_credentials', clientId: 'bench', scope: `n${index}` },
    allowInsecureTransport: true,
  };
  const names = { name: `No. ${index}`, ownerId: null, scopeId: null, tags: [] };
  const id = `cr_${index.toString(16).padStart(20, '0')}`;
  return { id, protocol: 'oauth2', ...names, origin: 'registered', config, secret: { clientSecret: 'secret' } };
}

function start(role, settings = {}) {
  const child = fork(fileURLToPath(import.meta.url), [role, JSON.stringify(settings)], {
    execArgv: ['--expose-gc', ...HEAP],
  });
  return child;
}

async function ask(child, message) {
  child.send(message);
  const [answer] = await once(child, 'message');
  return answer;
}

/** How many arrivals the fullest window held. */
function fullest(times, perMs) {
  let first = 0;
  let most = 0;
  for (const [last, time] of times.entries()) {
    while (times[first] <= time - perMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

async function measure() {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-bench-'));
  const server = start('serve');
  const [{ url }] = await once(server, 'message');
  const database = path.join(folder, 'credentials.db');
  const budgets = [{ endpoint: new URL(url).host, ...BUDGET }];
  console.error(`expiry: filling ${CREDENTIALS} credentials`);
  const { startMs, planned } = await fill(database, url, budgets);
  const keepers = Array.from({ length: KEEPERS }, () => start('keep', { database, budgets }));
  await Promise.all(keepers.map((keeper) => once(keeper, 'message')));
  console.error('expiry: refreshing');
  let arrivals = [];
  const endsMs = startMs + LEFT_MS + ENDS_WITHIN_MS + 120_000;
  while (Date.now() < endsMs) {
    await delay(2_000);
    ({ arrivals } = await ask(server, 'arrivals'));
    if (arrivals.filter(({ status }) => status === 200).length >= CREDENTIALS) break;
  }
  await delay(2_000);
  const memory = await Promise.all(keepers.map((keeper) => ask(keeper, 'stop')));
  ({ arrivals } = await ask(server, 'arrivals'));
  server.kill();
  rmSync(folder, { recursive: true, force: true });
  report({ startMs, planned, arrivals, memory });
}

function report({ startMs, planned, arrivals, memory }) {
  const times = arrivals.map(({ at }) => at);
  const answered = arrivals.filter(({ status }) => status === 200);
  const endOf = (index) => startMs + LEFT_MS + (index * ENDS_WITHIN_MS) / CREDENTIALS;
  const late = answered.filter(({ at, credential }) => at > endOf(credential)).length;
  const leastLeftMs = Math.min(...answered.map(({ at, credential }) => endOf(credential) - at));
  const seconds = (times.at(-1) - times[0]) / 1_000;
  const distinct = new Set(answered.map(({ credential }) => credential)).size;
  const most = (name) => `${Math.max(...memory.map((keeper) => keeper[name])).toFixed(1)} MiB`;
  const yes = (isMet) => (isMet ? 'yes' : 'no');
  const rows = [
    ['credentials refreshed', distinct, CREDENTIALS, yes(distinct === CREDENTIALS)],
    ['requests', times.length, CREDENTIALS, yes(times.length === CREDENTIALS)],
    ['refused by the server (429)', times.length - answered.length, 0, yes(times.length === answered.length)],
    ['refreshed after the end of their token', late, 0, yes(late === 0)],
    ['least life left at a refresh', `${(leastLeftMs / 1_000).toFixed(0)} s`, '> 0 s', yes(leastLeftMs > 0)],
    ['fullest 2 s at the server', fullest(times, 2_000), '≤ 100', yes(fullest(times, 2_000) <= 100)],
    ['fullest 60 s at the server', fullest(times, 60_000), '≤ 3,000', yes(fullest(times, 60_000) <= 3_000)],
    ['from the first to the last request', `${seconds.toFixed(0)} s`, '200 s at the budget', '-'],
    [
      'due in the fullest 2 s, as planned',
      fullest(
        planned.toSorted((a, b) => a - b),
        2_000,
      ),
      '-',
      '-',
    ],
    ['heap of a keeper, growth at the end', most('heap'), '≤ 50 MiB', yes(memory.every(({ heap }) => heap <= 50))],
    ['resident memory of a keeper, highest growth', most('rss'), '≤ 50 MiB', yes(memory.every(({ rss }) => rss <= 50))],
  ];
  console.log(
    markdownTable([`${CREDENTIALS} ending within a minute, ${KEEPERS} keepers`, 'measured', 'goal', 'met'], rows),
  );
  const plot = fileURLToPath(new URL('../docs/expiry.svg', import.meta.url));
  const ends = Array.from({ length: CREDENTIALS }, (_, index) => endOf(index));
  writeFileSync(
    plot,
    drawExpiry({ startMs, planned, times, ends, perSecond: (BUDGET.requests / BUDGET.perMs) * 1_000 }),
  );
  console.log('\nRequests over time: docs/expiry.svg');
  if (rows.some((cells) => cells.at(-1) === 'no')) process.exitCode = 1;
}

const [role, settings] = process.argv.slice(2);
if (role === 'serve') await serve();
else if (role === 'keep') await keep(JSON.parse(settings));
else await measure();
