// Engines share one database and one issuer, and die: no refresh token is spent twice, no grant is lost that could be kept.
//
//   npm run chaos -- refresh --kills 500        at full size, through test/chaos/refresh.test.ts
//   node scripts/chaos/refresh.mjs --help       with every option, on what is built in dist
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Issuer } from '../../test/servers/issuer/issuer.ts';
import { seededRandom } from '../../test/servers/issuer/random.ts';
import { openBooks } from './refresh/books.mjs';
import { Crew, Founder } from './refresh/crew.mjs';
import { figures, isLate, isLost, judge } from './refresh/judge.mjs';
import { Postgres } from './refresh/postgres.mjs';
import { PROVIDER_CLIENT, ProviderIssuer } from './refresh/provider.mjs';

const MASTER_KEY = '07'.repeat(32);
const OWN_GRACES = { 'grace-0': 0, 'grace-10': 10_000, 'grace-30': 30_000 };
const GRACES = { ...OWN_GRACES, [PROVIDER_CLIENT]: 0 };
/** What goes wrong at the issuer, by chance, on top of the kills. */
const FAULTS = [
  { fault: { kind: /** @type {const} */ ('drop'), afterRotating: false }, chance: 0.005 },
  { fault: { kind: /** @type {const} */ ('drop'), afterRotating: true }, chance: 0.005 },
  { fault: { kind: /** @type {const} */ ('corrupt'), how: /** @type {const} */ ('truncated') }, chance: 0.003 },
  { fault: { kind: /** @type {const} */ ('delay'), ms: 1_500 }, chance: 0.01 },
  { fault: { kind: /** @type {const} */ ('status'), status: 429, afterRotating: false }, chance: 0.005 },
  { fault: { kind: /** @type {const} */ ('status'), status: 500, afterRotating: false }, chance: 0.005 },
  { fault: { kind: /** @type {const} */ ('status'), status: 500, afterRotating: true }, chance: 0.005 },
];
/** A process that is stopped inside a transaction blocks every writer of a SQLite file; PostgreSQL ends its session. */
const LONGEST_STOPS_MS = { sqlite: 3_000, postgres: 60_000 };
const PROGRESS_MS = 15_000;

/** @param {string[]} args */
function optionsOf(args) {
  const text = (/** @type {string} */ value) => ({ type: /** @type {const} */ ('string'), default: value });
  const { values } = parseArgs({
    args,
    options: {
      processes: text('8'),
      credentials: text('200'),
      kills: text('500'),
      seconds: text('900'),
      ttl: text('20'),
      pace: text('900'),
      database: text('sqlite'),
      seed: text(String(randomInt(2 ** 31))),
      impatient: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const { impatient, json, help, database, ...numbers } = values;
  if (database !== 'sqlite' && database !== 'postgres') throw new TypeError('--database must be sqlite or postgres');
  /** @param {keyof typeof numbers} name */
  const number = (name) => {
    const value = Number(numbers[name]);
    if (!Number.isInteger(value) || value < 1) throw new TypeError(`--${name} must be a whole number above 0`);
    return value;
  };
  return {
    database: /** @type {'sqlite' | 'postgres'} */ (database),
    json,
    help,
    /** Lets a token in doubt without a grace window wait for its time, which is 25 s: a short run need not see its end. */
    impatient,
    processes: number('processes'),
    credentials: number('credentials'),
    /** Ends after so many kills, or after so many seconds. */
    kills: number('kills'),
    seconds: number('seconds'),
    /** Life of an access token, in seconds: half of it is how often each credential is refreshed. */
    ttl: number('ttl'),
    /** Mean time between two blows, in ms. */
    pace: number('pace'),
    seed: number('seed'),
  };
}

/** @typedef {ReturnType<typeof optionsOf>} Options */

/** The servers that judge: ours with three grace windows, and oidc-provider, which has none. */
class Issuers {
  #own;
  #provider;

  /**
   * @param {Issuer} own
   * @param {ProviderIssuer} provider
   */
  constructor(own, provider) {
    this.#own = own;
    this.#provider = provider;
  }

  /** @param {Options} options */
  static async start({ ttl, seed }) {
    const own = await Issuer.start({
      clients: Object.entries(OWN_GRACES).map(([clientId, reuseGraceMs], index) => ({
        clientId,
        clientSecret: 'secret',
        reuseGraceMs,
        reuseAnswer: index % 2 === 0 ? 'same' : 'sibling',
        accessTokenTtlSeconds: ttl,
      })),
      seed,
    });
    try {
      return new Issuers(own, await ProviderIssuer.start({ ttl, seed }));
    } catch (error) {
      await own.stop();
      throw error;
    }
  }

  /**
   * A new consent, with what a credential needs to use it.
   * @param {string} clientId
   */
  async consent(clientId) {
    if (clientId === PROVIDER_CLIENT) {
      const { config, clientSecret } = this.#provider;
      return { ...(await this.#provider.mint()), config, clientSecret };
    }
    const config = { clientId, tokenEndpoint: this.#own.tokenEndpoint };
    return { ...(await this.#own.mint(clientId)), config, clientSecret: 'secret' };
  }

  /** @param {import('../../test/servers/issuer/contract.ts').IssuerFaults} faults */
  async setFaults(faults) {
    await Promise.all([this.#own.setFaults(faults), this.#provider.setFaults(faults)]);
  }

  async log() {
    return [...(await this.#own.log()), ...(await this.#provider.log())];
  }

  async families() {
    return [...(await this.#own.families()), ...(await this.#provider.families())];
  }

  /** What oidc-provider's own log says, against what its door saw. */
  async disagreements() {
    const theirs = await this.#provider.spentTokensPresented();
    const seen = (await this.#provider.log()).filter(({ use, verdict }) => use > 1 && verdict !== 'familyEnded').length;
    return theirs >= seen ? [] : [`oidc-provider saw ${theirs} spent tokens, its door ${seen}`];
  }

  async stop() {
    await Promise.all([this.#own.stop(), this.#provider.stop()]);
  }
}

/** One run: its servers, processes and what is known about its credentials. */
class Run {
  /**
   * The client of each family that was given to the engines. Its credential is found by its name: a registration whose caller was
   * told that the store is away may have been written all the same.
   * @type {Map<string, string>}
   */
  #clients = new Map();
  /** Lost credentials that were replaced by a new consent. */
  #replaced = new Set();
  #startedAt = Date.now();
  #options;
  #random;
  #issuers;
  #crew;
  #founder;
  #books;

  /**
   * @param {Options} options
   * @param {{ issuers: Issuers, crew: Crew, founder: Founder, books: import('./refresh/books.mjs').Books }} parts
   */
  constructor(options, { issuers, crew, founder, books }) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#issuers = issuers;
    this.#crew = crew;
    this.#founder = founder;
    this.#books = books;
  }

  /** @param {string} clientId */
  async #consent(clientId) {
    const { familyId, refreshToken, config, clientSecret } = await this.#issuers.consent(clientId);
    this.#clients.set(familyId, clientId);
    await this.#founder.register({
      protocol: 'oauth2',
      name: familyId,
      config: {
        ...config,
        grantType: 'refresh_token',
        reuseGraceMs: GRACES[/** @type {keyof typeof GRACES} */ (clientId)],
        allowInsecureTransport: true,
      },
      secret: { clientSecret, refreshToken },
    });
  }

  async populate() {
    const clients = Object.keys(GRACES);
    for (let index = 0; index < this.#options.credentials; index += 1)
      await this.#consent(clients[index % clients.length] ?? '');
  }

  /** Blow after blow, until there were enough kills or the time is up. */
  async strike() {
    const { kills, seconds, pace } = this.#options;
    await this.#issuers.setFaults({ byChance: FAULTS, latencyMs: [0, 250] });
    const endsAt = Date.now() + seconds * 1_000;
    let progressAt = Date.now() + PROGRESS_MS;
    /** @type {Promise<void> | null} */
    let replacing = null;
    while (this.kills < kills && Date.now() < endsAt) {
      await delay(2 * pace * this.#random());
      await this.#strikeOnce();
      replacing ??= this.#replaceLost().finally(() => (replacing = null));
      if (Date.now() < progressAt) continue;
      progressAt += PROGRESS_MS;
      console.error(`${this.#elapsed()} ${this.kills} kills, ${this.stops} stops, ${this.#replaced.size} lost`);
    }
    await replacing;
    await this.#issuers.setFaults({});
  }

  /** Half of the blows come at any time, half at the instants that hurt: a request leaving, an answer arriving. */
  async #strikeOnce() {
    const [aimed, kill, soon, length] = [this.#random() < 0.5, this.#random() < 0.8, this.#random(), this.#random()];
    const awake = this.#crew.awake;
    // Somebody must be there to take over.
    if (awake.length < this.#options.processes / 2) return;
    const victim = aimed ? await this.#nextAtWork() : awake[Math.floor(this.#random() * awake.length)];
    if (!victim || !this.#crew.awake.includes(victim)) return;
    if (aimed) await delay(200 * soon * soon);
    if (kill) await this.#crew.kill(victim);
    else this.#crew.stop(victim, Math.ceil(LONGEST_STOPS_MS[this.#options.database] * length));
  }

  /** @returns {Promise<import('./refresh/crew.mjs').Worker | undefined>} */
  async #nextAtWork() {
    const tired = new AbortController();
    const worker = new Promise((resolve) => this.#crew.once('instant', resolve));
    const none = delay(1_000, undefined, { signal: tired.signal }).catch(() => undefined);
    const first = await Promise.race([worker, none]);
    tired.abort();
    return first;
  }

  /** A new consent for each grant that was lost, so that the pressure stays. */
  async #replaceLost() {
    for (const { id, familyId, state } of (await this.seen()).filter(isLost)) {
      const clientId = this.#clients.get(familyId);
      if (clientId === undefined || state !== 'expired.needsUser' || this.#replaced.has(id)) continue;
      this.#replaced.add(id);
      // A store that is held up just now takes it at another time.
      await this.#consent(clientId).catch(() => this.#replaced.delete(id));
    }
  }

  /** Lets everything come to rest. Returns the credentials that neither live nor say that they are lost. */
  async settle() {
    await this.#crew.complete();
    await this.#crew.continued();
    const before = new Map((await this.seen()).map(({ id, generation }) => [id, generation]));
    const endsAt = Date.now() + this.#options.ttl * 1_000 + 90_000;
    for (;;) {
      const stuck = (await this.seen()).filter(
        (credential) =>
          credential.state !== 'expired.needsUser' &&
          credential.generation <= (before.get(credential.id) ?? 0) &&
          !(this.#options.impatient && waitsItsTime(credential)),
      );
      const unaware = stuck.length === 0 ? await this.#unaware() : 0;
      if (stuck.length + unaware === 0 || Date.now() > endsAt) return stuck;
      await delay(250);
    }
  }

  /** How many credentials whose grant has ended do not know it yet: their next refresh tells them. */
  async #unaware() {
    const ended = (await this.#issuers.families()).filter(({ endedAt }) => endedAt !== null);
    const ids = new Set(ended.map(({ familyId }) => familyId));
    return (await this.seen()).filter((credential) => ids.has(credential.familyId) && !isLost(credential)).length;
  }

  /** @returns {Promise<import('./refresh/judge.mjs').Seen[]>} what the database says about each credential */
  async seen() {
    return (await this.#books.records())
      .filter(({ name }) => this.#clients.has(name))
      .map(({ id, name, state, generation, failure, refreshDueAt }) => ({
        id,
        familyId: name,
        state,
        generation,
        code: failure?.code ?? null,
        dueAt: refreshDueAt,
      }));
  }

  async material() {
    return {
      log: await this.#issuers.log(),
      families: await this.#issuers.families(),
      credentials: await this.seen(),
      journal: await this.#books.attempts(),
      blows: this.#crew.blows,
      graces: GRACES,
    };
  }

  async close() {
    await this.#books.close();
  }

  get kills() {
    return this.#crew.blows.filter(({ signal }) => signal === 'SIGKILL').length;
  }

  get stops() {
    return this.#crew.blows.length - this.kills;
  }

  #elapsed() {
    return `${String(Math.round((Date.now() - this.#startedAt) / 1_000)).padStart(4)} s:`;
  }
}

/** @param {import('./refresh/judge.mjs').Seen} credential */
function waitsItsTime({ state, dueAt }) {
  return (state === 'refreshing.ambiguous' || state === 'valid.degraded') && Date.parse(dueAt ?? '') > Date.now();
}

/** Codes that callers may meet while engines die and the issuer misbehaves; any other is a fault of ours. */
const EXPECTED_ERRORS =
  /^ERR_(ENDPOINT_|OAUTH2_AMBIGUOUS_REFRESH|OAUTH2_RESPONSE_INVALID|REFRESH_IN_PROGRESS|REFRESH_HELD_UP|CREDENTIAL_NEEDS_USER)/;

/** What callers in a process meet that was stopped inside a transaction: PostgreSQL has ended its session. */
const ENDED_SESSION = /^ERR_STORE_UNAVAILABLE$/;

/**
 * @param {Options} options
 * @param {Run} run
 * @param {Crew} crew
 * @param {Issuers} issuers
 */
async function conduct(options, run, crew, issuers) {
  await run.populate();
  const startedAt = Date.now();
  await Promise.all(Array.from({ length: options.processes }, () => crew.start()));
  await run.strike();
  const stuck = await run.settle();
  const material = await run.material();
  const unexpected = [...crew.errors.keys()].filter(
    (code) => !EXPECTED_ERRORS.test(code) && !(options.database === 'postgres' && ENDED_SESSION.test(code)),
  );
  const findings = judge(material);
  const violations = [
    ...findings.filter((finding) => !isLate(finding)),
    ...stuck.map(({ id, familyId, state, code }) => `a credential is stuck: ${id} of ${familyId}, ${state} ${code}`),
    ...(await issuers.disagreements()),
    ...unexpected.map((code) => `callers met ${code} ${crew.errors.get(code)} times`),
  ];
  return {
    seed: options.seed,
    seconds: Math.round((Date.now() - startedAt) / 1_000),
    kills: run.kills,
    stops: run.stops,
    requests: material.log.length,
    byGrace: figures(material),
    callerErrors: Object.fromEntries(crew.errors),
    violations,
    late: findings.filter(isLate),
  };
}

/**
 * @param {string[]} args
 * @returns {Promise<boolean>} whether every invariant held
 */
async function main(args) {
  const options = optionsOf(args);
  if (options.help) {
    console.error(
      'options: --processes 8 --credentials 200 --kills 500 --seconds 900 --ttl 20 --pace 900 --seed N --database sqlite|postgres --impatient --json',
    );
    return true;
  }
  console.error(`seed ${options.seed}`);
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-chaos-'));
  const server = options.database === 'postgres' ? await Postgres.start() : null;
  const settings = { database: server?.url ?? path.join(folder, 'credentials.db'), masterKey: MASTER_KEY };
  const issuers = await Issuers.start(options);
  const founder = new Founder(settings);
  const crew = new Crew({ ...settings, callers: 2 });
  try {
    await founder.start();
    const run = new Run(options, { issuers, crew, founder, books: await openBooks(settings.database) });
    const report = await conduct(options, run, crew, issuers);
    await run.close();
    await Promise.all([crew.close(), founder.close()]);
    show(report, options.json);
    return report.violations.length + report.late.length === 0;
  } finally {
    crew.abandon();
    founder.abandon();
    await issuers.stop();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {Awaited<ReturnType<typeof conduct>>} report
 * @param {boolean} json
 */
function show(report, json) {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  const { seed, seconds, kills, stops, requests, byGrace, callerErrors, violations, late } = report;
  console.log(`seed ${seed}: ${kills} kills and ${stops} stops in ${seconds} s, ${requests} token requests`);
  console.table(byGrace);
  console.log('errors that callers met:', callerErrors);
  for (const violation of violations) console.log(`BROKEN: ${violation}`);
  for (const finding of late) console.log(`LATE: ${finding}`);
  console.log(
    violations.length + late.length === 0
      ? 'every invariant held'
      : `${violations.length} broken invariants, ${late.length} refreshes taken over too late`,
  );
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
