// One process of a test, bench or chaos run against a store: does one job, says what it did in lines of JSON, and ends.
//
//   node scripts/stores/worker.mjs '{"job":"increment","database":"c.db","times":1000}'
import process from 'node:process';
import { openStores, ports } from './built.mjs';

/** @param {object} line */
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/**
 * Adds one to a counter in a record's settings by compare-and-set, so often that `times` of its own additions were accepted.
 * @param {{ database: string, id: string, times: number }} options
 */
async function increment({ database, id, times }) {
  const { records } = await openStores(database, ports);
  let refused = 0;
  for (let accepted = 0; accepted < times;) {
    const record = await records.get(id);
    if (record === null) throw new Error(`There is no record ${id}.`);
    const count = Number(record.config['count']) + 1;
    const next = { ...record, config: { count }, revision: record.revision + 1 };
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision })) accepted += 1;
    else refused += 1;
  }
  await records.close();
  say({ accepted: times, refused });
}

/**
 * Claims what is due until nothing is, and says which records it got.
 * @param {{ database: string, owner: string, now: string, limit: number }} options
 */
async function claimDue({ database, owner, now, limit }) {
  const { records } = await openStores(database, ports);
  for (;;) {
    const claims = await records.claimDue({ limit, owner, leaseMs: 600_000, now: new Date(now) });
    if (claims.length === 0) break;
    say({ claimed: claims.map((claim) => claim.credentialId) });
  }
  await records.close();
}

/**
 * Claims records, says so, and holds them until it is killed.
 * @param {{ database: string, owner: string, ids: string[], leaseMs: number }} options
 */
async function hold({ database, owner, ids, leaseMs }) {
  const { records } = await openStores(database, ports);
  for (const id of ids) await records.claim(id, owner, leaseMs);
  say({ holds: ids });
  setInterval(() => undefined, 60_000);
}

const JOBS = { increment, claimDue, hold };
const { job, ...options } = JSON.parse(process.argv[2] ?? '{}');
await JOBS[/** @type {keyof typeof JOBS} */ (job)](options);
