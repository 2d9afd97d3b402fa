// What a credential costs: cached use() beside @azure/msal-node's cached acquire; uncached use() beside a bare read and a bare
// decrypt; a journaled refresh beside a bare loop of openid-client; heap for each credential, awake and asleep; the start.
// Peers are dependencies of this folder: npm install --prefix bench --ignore-scripts
import { spawnSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as openidClient from 'openid-client';
import { aRecord, ports } from '../scripts/stores/built.mjs';
import { Issuer } from '../test/servers/issuer/issuer.ts';
import { markdownTable, median, perSecond, race, ratio } from './harness.mjs';

const require = createRequire(import.meta.url);
const { CredentialEngine, credentialMachine, Secret } = require('../dist/src/index.js');
const { openSqlite, openSqliteDatabase } = require('../dist/src/storage/sqlite.js');
const { createActor, fromPromise } = require('xstate');
const Database = require('better-sqlite3');

const MASTER_KEY = Buffer.alloc(32, 7);
const STORED = 100_000;
const AWAKE = 1_000;
const HOUR = 3_600;
const CLIENT = { clientId: 'bench', clientSecret: 'secret-of-the-bench', reuseGraceMs: 0, accessTokenTtlSeconds: HOUR };

const rows = [];
function row(what, ours, beside, figure, goal, isMet) {
  rows.push([what, ours, beside, figure, goal, isMet ? 'yes' : 'no']);
}

async function entryAt(issuer) {
  const { refreshToken } = await issuer.mint(CLIENT.clientId);
  return {
    protocol: 'oauth2',
    name: 'Bench',
    config: {
      tokenEndpoint: issuer.tokenEndpoint,
      grantType: 'refresh_token',
      clientId: CLIENT.clientId,
      allowInsecureTransport: true,
    },
    secret: { clientSecret: CLIENT.clientSecret, refreshToken },
    test: false,
  };
}

/** MSAL with one token in its cache; it came from a network of the test's own, which is asked once. */
async function msalAcquire() {
  try {
    const { ConfidentialClientApplication } = require('@azure/msal-node');
    const answer = { token_type: 'Bearer', expires_in: HOUR, ext_expires_in: HOUR, access_token: 'x'.repeat(400) };
    let asked = 0;
    const post = async () => {
      asked += 1;
      return { headers: {}, body: answer, status: 200 };
    };
    const application = new ConfidentialClientApplication({
      auth: {
        clientId: 'bench',
        clientSecret: 'secret',
        authority: 'https://login.microsoftonline.com/00000000-0000-4000-8000-000000000000',
      },
      system: { networkClient: { sendPostRequestAsync: post, sendGetRequestAsync: post } },
    });
    const request = { scopes: ['https://graph.microsoft.com/.default'] };
    await application.acquireTokenByClientCredential(request);
    const before = asked;
    return async () => {
      const { accessToken } = await application.acquireTokenByClientCredential(request);
      if (asked !== before) throw new Error('MSAL did not answer from its cache.');
      return accessToken;
    };
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    console.error('@azure/msal-node is not measured: npm install --prefix bench --ignore-scripts');
    return null;
  }
}

async function cachedUse(folder, issuer) {
  const engine = await CredentialEngine.open({ database: path.join(folder, 'cached.db'), masterKey: MASTER_KEY });
  const { id } = await engine.register(await entryAt(issuer));
  await engine.use(id);
  const acquire = await msalAcquire();
  const [ours, msal] = await race([
    { name: 'ours', run: () => engine.use(id) },
    ...(acquire ? [{ name: "msal-node's cached acquire", run: acquire }] : []),
  ]);
  row('cached use()', perSecond(ours), '-', '-', '≥ 500,000/s', ours.perSecond >= 500_000);
  if (msal) {
    const figure = ratio(ours, msal);
    row('cached use()', perSecond(ours), `${msal.name} ${perSecond(msal)}`, figure.toFixed(1), '≥ 20', figure >= 20);
  }
  await engine.close();
}

/** Stores in which each look finds a change, as if another process had just written: nothing is served from memory. */
function alwaysChanged(stores) {
  let mark = 0;
  const own = { changeMark: () => (mark += 1) };
  const records = new Proxy(stores.records, {
    get(target, name) {
      if (!(name in own)) own[name] = typeof target[name] === 'function' ? target[name].bind(target) : target[name];
      return own[name];
    },
  });
  return { ...stores, records };
}

async function uncachedUse(folder, issuer) {
  const stores = openSqlite(path.join(folder, 'uncached.db'), ports.clock);
  const engine = await CredentialEngine.open({ database: alwaysChanged(stores), masterKey: MASTER_KEY });
  const { id } = await engine.register(await entryAt(issuer));
  await engine.use(id);
  const bare = bareStore(path.join(folder, 'bare.db'), JSON.stringify(await stores.records.get(id)));
  const [ours, other] = await race([
    { name: 'ours', run: () => engine.use(id) },
    { name: 'bare read + bare decrypt', run: bare.read },
  ]);
  const figure = ratio(ours, other);
  row(
    'uncached use()',
    perSecond(ours),
    `${other.name} ${perSecond(other)}`,
    figure.toFixed(2),
    '≥ 0.7',
    figure >= 0.7,
  );
  bare.close();
  await engine.close();
}

/** The least that has to be done: the record and its grant out of a table, AES-256-GCM, and both parsed. */
function bareStore(file, record) {
  const key = randomBytes(32);
  const grant = { accessToken: 'x'.repeat(43), refreshToken: 'y'.repeat(43), issuedAt: new Date(), scope: null };
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = cipher.update(JSON.stringify(grant));
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE records (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID');
  db.exec('CREATE TABLE secrets (id TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID');
  db.prepare('INSERT INTO records VALUES (?, ?)').run('a', record);
  db.prepare('INSERT INTO secrets VALUES (?, ?)').run(
    'a',
    Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]),
  );
  const records = db.prepare('SELECT record FROM records WHERE id = ?').pluck();
  const secrets = db.prepare('SELECT sealed FROM secrets WHERE id = ?').pluck();
  const read = async () => {
    const { expiresAt, generation } = JSON.parse(records.get('a'));
    const sealed = secrets.get('a');
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    const { accessToken } = JSON.parse(opened.toString());
    return { headers: { authorization: `Bearer ${accessToken}` }, expiresAt: new Date(expiresAt), generation };
  };
  return { read, close: () => db.close() };
}

/** A loop as many programs have it: the newest token in memory, nothing written down. */
async function bareRefresh(issuer) {
  const server = { issuer: issuer.url, token_endpoint: issuer.tokenEndpoint };
  const authentication = openidClient.ClientSecretBasic(CLIENT.clientSecret);
  const configuration = new openidClient.Configuration(server, CLIENT.clientId, undefined, authentication);
  openidClient.allowInsecureRequests(configuration);
  let { refreshToken } = await issuer.mint(CLIENT.clientId);
  return async () => {
    const answer = await openidClient.refreshTokenGrant(configuration, refreshToken);
    refreshToken = answer.refresh_token ?? refreshToken;
  };
}

/** Refreshes per second on the wall, since a durable commit waits and does not count: rounds in turn, as in `race`. */
async function raceOnWall(competitors, { rounds = 9, roundMs = 600 } = {}) {
  const figures = competitors.map(({ name }) => ({ name, rounds: [] }));
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, { lanes }] of competitors.entries()) {
      const startedAt = performance.now();
      let calls = 0;
      await Promise.all(
        lanes.map(async (run) => {
          for (; performance.now() - startedAt < roundMs; calls += 1) await run();
        }),
      );
      if (round >= 0) figures[index].rounds.push((calls / (performance.now() - startedAt)) * 1_000);
    }
  }
  return figures.map((figure) => ({ ...figure, perSecond: median(figure.rounds) }));
}

async function refreshes(folder, issuer) {
  const engine = await CredentialEngine.open({ database: path.join(folder, 'refreshed.db'), masterKey: MASTER_KEY });
  for (const width of [1, 8]) {
    const lanes = { ours: [], bare: [] };
    for (let lane = 0; lane < width; lane += 1) {
      const { id } = await engine.register(await entryAt(issuer));
      let expected = 0;
      lanes.ours.push(async () => {
        const { generation } = await engine.refresh(id);
        if (generation !== (expected += 1))
          throw new Error(`A refresh failed: generation ${generation}, not ${expected}.`);
      });
      lanes.bare.push(await bareRefresh(issuer));
    }
    const [ours, bare] = await raceOnWall([
      { name: 'ours', lanes: lanes.ours },
      { name: 'bare openid-client', lanes: lanes.bare },
    ]);
    const figure = ratio(ours, bare);
    const onWall = (measured) => `${Math.round(measured.perSecond)}/s`;
    const what = `journaled refresh, ${width === 1 ? 'one after the other' : `${width} at a time`}`;
    row(what, onWall(ours), `${bare.name} ${onWall(bare)}`, figure.toFixed(2), '≥ 0.6', figure >= 0.6);
  }
  await engine.close();
}

/** Actors of the machine in `refreshing.sent`, with effects that never end and nothing around them. */
async function awakeActors() {
  const claimed = { outcome: 'claimed', claim: { credentialId: 'a', owner: 'b', fence: 1 }, attemptId: 'c' };
  const endless = fromPromise(() => new Promise(() => {}));
  const actors = { claimRefresh: fromPromise(async () => claimed), sendRefresh: endless };
  const machine = credentialMachine.provide({ actors });
  const awake = Array.from({ length: AWAKE }, (_, index) => {
    const input = { credentialId: `cr_${index}`, generation: 1, reason: 'refreshed' };
    const actor = createActor(machine, { input }).start();
    actor.send({ type: 'credential.refresh', reason: 'refreshDue', claim: null });
    return actor;
  });
  while (!awake.every((actor) => actor.getSnapshot().matches({ lifecycle: { refreshing: 'sent' } }))) await delay(20);
  return awake;
}

/** A protocol whose refreshes end when they are told to: while they do not, their credentials are awake. */
class HeldDriver {
  protocol = 'held';
  waiting = [];
  parseConfig = () => ({});
  parseSecret = () => ({ secret: 'x' });
  identity = () => ({});
  endpoint = () => 'held.example';
  refreshTraits = () => ({ spends: null, reuseGraceMs: 0, deadlineMs: HOUR * 1_000 });
  material = () => ({ headers: {} });
  confirm = async () => 'unconfirmable';
  revoke = async () => 'unsupported';
  test = async () => ({ success: true });

  async refresh(_input, beforeSend) {
    await beforeSend();
    if (this.waiting !== null) await new Promise((resolve) => this.waiting.push(resolve));
    const issuedAt = new Date();
    const expiresAt = new Date(issuedAt.getTime() + HOUR * 1_000);
    return { grant: Secret.of({ token: 'x' }), issuedAt, expiresAt, refreshable: true };
  }
}

async function heap(folder) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const used = () => {
    for (let time = 0; time < 4; time += 1) collect();
    return process.memoryUsage().heapUsed;
  };
  const driver = new HeldDriver();
  const actors = [];
  // All of them stay: what an earlier round gave back would be counted against a later one.
  const awakeOnes = [];
  for (let round = 0; round < 6; round += 1) {
    const before = used();
    awakeOnes.push(await awakeActors());
    if (round > 0) actors.push((used() - before) / AWAKE);
  }
  for (const actor of awakeOnes.flat()) actor.stop();
  const database = path.join(folder, 'heap.db');
  const engine = await CredentialEngine.open({ database, masterKey: MASTER_KEY, drivers: () => [driver] });
  const register = async () =>
    (await engine.register({ protocol: 'held', name: 'Held', config: {}, secret: {}, test: false })).id;
  const ids = [];
  // The first hundred warm everything up that is made once.
  for (let index = 0; index < 100; index += 1) ids.push(await register());
  const figures = { awake: [], asleep: [] };
  for (let round = 0; round < 5; round += 1) {
    while (ids.length < AWAKE) ids.push(await register());
    driver.waiting = [];
    const before = used();
    const refreshing = ids.map((id) => engine.refresh(id));
    while (driver.waiting.length < ids.length) await delay(20);
    figures.awake.push((used() - before) / ids.length);
    const waiting = driver.waiting;
    driver.waiting = null;
    for (const end of waiting) end();
    await Promise.all(refreshing);
    refreshing.length = 0;
    waiting.length = 0;
    // The first round still makes what later ones use again.
    if (round > 0) figures.asleep.push((used() - before) / ids.length);
  }
  const kib = (bytes) => `${(bytes / 1_024).toFixed(2)} KiB`;
  const [awake, asleep, actor] = [figures.awake, figures.asleep, actors].map(median);
  row('heap of an awake actor', kib(actor), '-', '-', '≤ 10 KiB', actor <= 10 * 1_024);
  row(
    'heap of a credential in the middle of a refresh, with all that belongs to it',
    kib(awake),
    '-',
    '-',
    '≤ 10 KiB',
    awake <= 10 * 1_024,
  );
  row('heap of a passivated credential', kib(asleep), '-', '-', '0 (± 0.1 KiB)', asleep <= 102);
  await engine.close();
}

/** Straight into the table: what is measured is the start, not the fill. */
async function fill(file) {
  await (await CredentialEngine.open({ database: file, masterKey: MASTER_KEY })).close();
  const db = openSqliteDatabase(file);
  const insert = db.prepare(
    `INSERT INTO records (id, revision, state, protocol, owner_id, scope_id, due_at, expires_at, record)
     VALUES (?, 1, 'valid', 'oauth2', NULL, NULL, ?, ?, ?)`,
  );
  db.transaction(() => {
    for (let index = 0; index < STORED; index += 1) {
      const expiresAt = new Date(Date.now() + (HOUR + index) * 1_000);
      const refreshDueAt = new Date(expiresAt.getTime() - HOUR * 250);
      const config = { tokenEndpoint: 'https://as.example/token', grantType: 'refresh_token', clientId: 'bench' };
      const record = aRecord({ id: `cr_${index.toString(16).padStart(20, '0')}`, config, expiresAt, refreshDueAt });
      insert.run(record.id, refreshDueAt.toISOString(), expiresAt.toISOString(), JSON.stringify(record));
    }
  })();
  db.close();
}

/** In a process of its own: from open() until the keeper runs and everything has been counted. */
async function measureStart(file) {
  const startedAt = performance.now();
  const engine = await CredentialEngine.open({ database: file, masterKey: MASTER_KEY, keeper: true });
  const { valid } = await engine.countByState();
  const ms = performance.now() - startedAt;
  await engine.close();
  process.stdout.write(JSON.stringify({ ms, valid }));
}

async function start(folder) {
  const file = path.join(folder, 'many.db');
  await fill(file);
  const times = Array.from({ length: 5 }, () => {
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), file], { encoding: 'utf8' });
    if (child.status !== 0) throw new Error(child.stderr);
    const { ms, valid } = JSON.parse(child.stdout);
    if (valid !== STORED) throw new Error(`Counted ${valid} credentials.`);
    return ms;
  });
  const ms = median(times);
  row(`start with ${STORED.toLocaleString('en')} stored`, `${Math.round(ms)} ms`, '-', '-', '≤ 1,000 ms', ms <= 1_000);
}

async function compare() {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-bench-'));
  const issuer = await Issuer.start({ clients: [CLIENT] });
  try {
    for (const measure of [cachedUse, uncachedUse, refreshes, heap, start]) {
      await measure(folder, issuer);
      // A race leaves no turn to the network: what the issuer closed meanwhile is noticed now, and not by the next request.
      await delay(200);
    }
  } finally {
    await issuer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(markdownTable(['what', 'ours', 'beside', 'ratio', 'goal', 'met'], rows));
}

const file = process.argv[2];
if (file === undefined) await compare();
else await measureStart(file);
