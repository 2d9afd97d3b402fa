// Seal and open of a 500-byte secret beside bare node:crypto and n8n-core's Cipher; store read + open beside bare
// better-sqlite3 + bare node:crypto.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { markdownTable, perSecond, race, ratio } from './harness.mjs';

const require = createRequire(import.meta.url);
const { expandDataKey, sealEnvelope, openEnvelope } = require('../dist/src/vault/envelope.js');
const { systemClock, systemRandom, silentLogger, systemFetch } = require('../dist/src/ports.js');
const { Secret } = require('../dist/src/secret.js');
const { openSqlite } = require('../dist/src/storage/sqlite.js');
const { openVault } = require('../dist/src/vault/open-vault.js');
const Database = require('better-sqlite3');

const plaintext = Buffer.from(JSON.stringify({ accessToken: 'x'.repeat(482) }));
const text = plaintext.toString();
const raw = randomBytes(32);
const key = expandDataKey(randomBytes(16), raw);
const name = { ownerId: 'alice', credentialId: 'cr_0123456789', field: 'grant', generation: 3, attemptId: 'attempt' };

/** What nobody can do without: a nonce, the cipher, its tag, one buffer to store. */
function bareSeal() {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', raw, nonce);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function bareOpen(sealed) {
  const decipher = createDecipheriv('aes-256-gcm', raw, sealed.subarray(0, 12), { authTagLength: 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}

const rows = [];
function report(what, ours, other, goal) {
  const figure = ratio(ours, other);
  const met = figure >= goal ? 'yes' : 'no';
  rows.push([what, perSecond(ours), `${other.name} ${perSecond(other)}`, figure.toFixed(2), `≥ ${goal}`, met]);
}

function note(what, one, other) {
  rows.push([what, perSecond(one), `${other.name} ${perSecond(other)}`, ratio(one, other).toFixed(2), '-', '-']);
}

async function sealAndOpen() {
  const cipher = n8nCipher();
  const sealed = {
    bare: bareSeal(),
    ours: sealEnvelope(key, name, plaintext, systemRandom),
    n8n: await cipher?.encrypt(text),
  };
  const seals = await race([
    { name: 'ours', run: () => sealEnvelope(key, name, plaintext, systemRandom) },
    { name: 'bare node:crypto', run: bareSeal },
    ...(cipher ? [{ name: "n8n-core's Cipher", run: () => cipher.encrypt(text) }] : []),
  ]);
  const opens = await race([
    { name: 'ours', run: () => openEnvelope(key, name, sealed.ours) },
    { name: 'bare node:crypto', run: () => bareOpen(sealed.bare) },
    ...(cipher ? [{ name: "n8n-core's Cipher", run: () => cipher.decrypt(sealed.n8n) }] : []),
  ]);
  report('seal 500 bytes', seals[0], seals[1], 0.6);
  report('open 500 bytes', opens[0], opens[1], 0.6);
  if (!cipher) return;
  report('seal 500 bytes', seals[0], seals[2], 3);
  report('open 500 bytes', opens[0], opens[2], 3);
  // What no scheme on node:crypto can be above.
  note('bare node:crypto, seal', seals[1], seals[2]);
  note('bare node:crypto, open', opens[1], opens[2]);
}

/** The cipher that n8n keeps its own credentials with; null where n8n-core is not installed. */
function n8nCipher() {
  try {
    require('reflect-metadata');
    const { Cipher, CipherAes256CBC, CipherAes256GCM } = require('n8n-core');
    const settings = { encryptionKey: 'a key of n8n, as long as it makes it' };
    return new Cipher(settings, new CipherAes256GCM(), new CipherAes256CBC(), null);
  } catch (error) {
    console.error(`n8n-core's Cipher is not measured: ${error.message.split('\n')[0]}`);
    return null;
  }
}

async function readFromStore() {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-bench-'));
  try {
    const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, fetch: systemFetch };
    const stores = openSqlite(path.join(folder, 'ours.db'), systemClock);
    const { vault } = await openVault(stores, { masterKey: raw }, ports);
    const owner = { id: 'cr_0123456789', ownerId: null };
    const pointer = { field: 'grant', generation: 1, attemptId: 'attempt' };
    await vault.put(owner, pointer, Secret.of(JSON.parse(text)));

    const db = new Database(path.join(folder, 'bare.db'));
    db.pragma('journal_mode = WAL');
    db.exec('CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID');
    db.prepare('INSERT INTO secrets VALUES (?, ?)').run('cr_0123456789', bareSeal());
    const select = db.prepare('SELECT sealed FROM secrets WHERE name = ?').pluck();
    const [ours, bare] = await race([
      { name: 'ours', run: () => vault.get(owner, pointer) },
      {
        name: 'bare better-sqlite3 + node:crypto',
        run: async () => JSON.parse(bareOpen(select.get('cr_0123456789')).toString()),
      },
    ]);
    report('store read + open', ours, bare, 0.8);
    db.close();
    await stores.records.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await sealAndOpen();
await readFromStore();
console.log(markdownTable(['what', 'ours', 'beside', 'ratio', 'goal', 'met'], rows));
