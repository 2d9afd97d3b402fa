import { fork } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CredentialEngine } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import type { Fetch } from '../../src/ports.ts';
import { TestClock } from '../support/clock.ts';
import { temporaryFolder } from '../support/folder.ts';
import { seeded } from './random.ts';

/** `npm run chaos -- vault` sets both. */
const KILLS = Number(process.env['CREDLIFE_CHAOS_KILLS'] ?? 12);
const SEED = Number(process.env['CREDLIFE_CHAOS_SEED'] ?? randomInt(2 ** 31));
/** A victim dies after it has told so much at most, and a little later. */
const MOST_TOLD = 12;
const LONGEST_DELAY_MS = 40;
const LEASE_MS = 5_000;

interface Acknowledged {
  readonly id: string;
  readonly generation: number;
  readonly authorization: string;
}

interface Message {
  readonly finished?: true;
  readonly acknowledged?: Acknowledged;
  readonly rotated?: string;
  readonly reEncrypted?: number;
  readonly intended?: string;
  readonly changed?: string;
  readonly failed?: { readonly verb: string; readonly code: string };
}

const random = seeded(SEED);
const pick = <T>(choices: readonly [T, ...T[]]): T => choices[Math.floor(random() * choices.length)] ?? choices[0];

/** Everything that the dead have told, and what was seen of the store so far. */
const told = new Map<string, Acknowledged>();
const counts = new Map<string, number>();
const tally = {
  killed: 0,
  acknowledged: 0,
  rotations: 0,
  reEncryptions: 0,
  passphraseChanges: 0,
  cutOffChanges: 0,
  refused: 0,
};
let passphrase = 'passphrase 0';
let intended: string | null = null;

const clock = new TestClock();
const fetch: Fetch = async () =>
  Response.json({ access_token: 'after the kill', token_type: 'Bearer', expires_in: 86_400 });

function openEngine(database: string, withPassphrase: string): Promise<CredentialEngine> {
  return CredentialEngine.open({ database, masterKey: { passphrase: withPassphrase }, ports: { clock, fetch } });
}

async function runUntilKilled(database: string, turn: number): Promise<void> {
  const writing = Array.from({ length: 40 }, () => ({
    verb: pick(['register', 'refresh', 'refresh']),
    chance: random(),
  }));
  const keys = Array.from({ length: 12 }, () => ({
    verb: pick(['rotate', 'reEncrypt', 'reEncrypt', 'changePassphrase']),
    chance: random(),
  }));
  const nextPassphrase = `passphrase ${String(turn)}`;
  const input = { database, passphrase, nextPassphrase, ids: [...told.keys()], course: [writing, keys] };
  const victim = fork(join(__dirname, 'vault-victim.mjs'), [JSON.stringify(input)], {
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = once(victim, 'exit');
  const toldBefore = 1 + Math.floor(random() * MOST_TOLD);
  let messages = 0;
  // By what it has told and not by time alone: a slow machine must not kill it before it has begun.
  const atWork = new Promise<void>((resolve, reject) => {
    victim.on('message', (message: Message) => {
      hear(message);
      messages += 1;
      if (messages >= toldBefore || message.finished) resolve();
    });
    victim.once('exit', () => {
      reject(new Error('The victim died by itself.'));
    });
  });
  await atWork;
  await delay(random() * LONGEST_DELAY_MS);
  victim.kill('SIGKILL');
  await gone;
  tally.killed += 1;
}

function hear({ acknowledged, rotated, reEncrypted, intended: next, changed, failed }: Message): void {
  if (acknowledged) {
    tally.acknowledged += 1;
    const known = told.get(acknowledged.id);
    if (!known || acknowledged.generation >= known.generation) told.set(acknowledged.id, acknowledged);
  }
  if (rotated !== undefined) tally.rotations += 1;
  if (reEncrypted !== undefined) tally.reEncryptions += 1;
  if (next !== undefined) intended = next;
  if (changed !== undefined) {
    tally.passphraseChanges += 1;
    passphrase = changed;
    intended = null;
  }
  if (failed && failed.code !== 'ERR_REFRESH_IN_PROGRESS') throw new Error(`${failed.verb} failed: ${failed.code}`);
  if (failed) tally.refused += 1;
}

/** Old or new passphrase opens, never neither; which one it is settles what was in doubt. */
async function openAfterKill(database: string): Promise<CredentialEngine> {
  const candidates = intended === null || intended === passphrase ? [passphrase] : [passphrase, intended];
  if (candidates.length === 2) tally.cutOffChanges += 1;
  for (const candidate of candidates) {
    try {
      const engine = await openEngine(database, candidate);
      passphrase = candidate;
      intended = null;
      return engine;
    } catch (error) {
      if (!isCredentialError(error) || error.code !== 'ERR_KEYRING_MASTER_KEY_MISMATCH') throw error;
    }
  }
  throw new Error('Neither the old nor the new passphrase opens the store.');
}

async function examine(engine: CredentialEngine): Promise<void> {
  const { unreadable, seal } = await engine.keys.verify();
  expect({ unreadable, seal }).toEqual({ unreadable: [], seal: 'intact' });
  for (const { keyId, encryptions } of (await engine.keys.status()).keys) {
    expect(encryptions).toBeGreaterThanOrEqual(counts.get(keyId) ?? 0);
    counts.set(keyId, encryptions);
  }
  for (const { id, generation, authorization } of told.values()) {
    const material = await engine.use(id);
    expect(material.generation).toBeGreaterThanOrEqual(generation);
    if (material.generation === generation) expect(material.headers).toEqual({ authorization });
  }
}

/** When the claims of the dead have run out, nothing keeps re-encryption from bringing everything under one key. */
async function finishReEncryption(engine: CredentialEngine): Promise<void> {
  clock.advance(LEASE_MS);
  // Also those whose registration was killed before it was told: their answers may still wait to be pointed at.
  for (const { id } of (await engine.list({ limit: 1_000 })).credentials) await engine.refresh(id);
  const { left } = await engine.keys.reEncrypt();
  expect(left).toEqual([]);
  const [status, { valuesByKey }] = [await engine.keys.status(), await engine.keys.verify()];
  expect(Object.keys(valuesByKey)).toEqual([status.activeKeyId]);
}

it(
  `loses nothing to ${String(KILLS)} kills between register, refresh, rotate, re-encrypt and change of the passphrase`,
  async () => {
    process.stderr.write(`chaos vault: seed ${String(SEED)}, ${String(KILLS)} kills\n`);
    const folder = temporaryFolder();
    const database = join(folder.path, 'credentials.db');
    for (let turn = 1; turn <= KILLS; turn += 1) {
      await runUntilKilled(database, turn);
      const engine = await openAfterKill(database);
      await examine(engine);
      if (turn === KILLS || turn % 50 === 0) {
        await finishReEncryption(engine);
        await examine(engine);
      }
      await engine.close();
    }
    process.stderr.write(`chaos vault: ${JSON.stringify(tally)}\n`);
    expect(tally.killed).toBe(KILLS);
    expect(tally.acknowledged).toBeGreaterThan(0);
    folder.dispose();
  },
  KILLS * 10_000 + 60_000,
);
