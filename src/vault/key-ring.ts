import { createHmac } from 'node:crypto';
import { KeyRingError, toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { Secret } from '../secret.ts';
import type { RecordStore } from '../storage/record-store.ts';
import { EncryptionBudget, HARD_LIMIT } from './encryption-budget.ts';
import { expandDataKey, keyObjectOf, type DataKey } from './envelope.ts';
import { isPassphrase, KeyEncryptionKey, mismatch, refuseSlowly, type MasterKey } from './key-encryption-key.ts';
import { ARGON2ID_SALT_BYTES, newArgon2idParameters } from './kdf.ts';
import {
  encodeRing,
  foundRing,
  HASH_KEY_ID,
  newRingId,
  parseRing,
  removableKeys,
  requireSealed,
  rewrapped,
  withNewKey,
  withoutKeys,
  type RingBody,
} from './ring-document.ts';

export type { MasterKey } from './key-encryption-key.ts';

/** When a data key is replaced by itself, and how many retired ones stay in any case. */
export interface RotationPolicy {
  readonly maxAgeMs: number;
  readonly maxEncryptions: number;
  readonly keepRetired: number;
  /** A key that was retired more recently stays: a writer that began under it may still be at work. */
  readonly minRetirementMs: number;
}

const DAY_MS = 86_400_000;
export const ROTATION_POLICY: RotationPolicy = {
  maxAgeMs: 90 * DAY_MS,
  maxEncryptions: 1_000_000,
  keepRetired: 3,
  minRetirementMs: DAY_MS,
};

/** A data key as people see it. */
export interface DataKeyStatus {
  readonly keyId: string;
  readonly state: 'active' | 'retired';
  readonly createdAt: Date;
  readonly retiredAt: Date | null;
  /** Reserved by all processes; a crash leaves part of a reservation unused. */
  readonly encryptions: number;
}

type RingPorts = Pick<Ports, 'clock' | 'random'> & Partial<Pick<Ports, 'logger'>>;

/** The ring as it was read last, with its keys unwrapped. */
interface Opened {
  readonly text: string;
  readonly body: RingBody;
}

/**
 * The data keys of one store. The stored form holds them wrapped under the key-encryption key, is sealed as a whole and
 * changes by compare-and-set only: whatever dies in between, the store has the ring of before or the one of after.
 */
export class KeyRing {
  readonly #store: RecordStore;
  readonly #ports: RingPorts;
  readonly #policy: RotationPolicy;
  readonly #budget: EncryptionBudget;
  readonly #keys = new Map<string, DataKey>();
  readonly #hashKey: Secret<Buffer>;
  #kek: KeyEncryptionKey;
  #opened: Opened;
  /** A stored ring that our key-encryption key does not open: another process changed the master key. */
  #foreign: string | null = null;

  private constructor(
    store: RecordStore,
    ports: RingPorts,
    policy: RotationPolicy,
    ring: { kek: KeyEncryptionKey; opened: Opened },
  ) {
    this.#store = store;
    this.#ports = ports;
    this.#policy = policy;
    this.#budget = new EncryptionBudget(store);
    this.#kek = ring.kek;
    this.#opened = ring.opened;
    this.#hashKey = Secret.of(ring.kek.unwrapKey(HASH_KEY_ID, ring.opened.body.hashKey));
    this.#takeKeys(ring.opened.body);
  }

  /**
   * Opens the store's key ring, or founds one when the store has none yet.
   *
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH`, `ERR_KEYRING_PARAMETERS_REFUSED`
   * @throws StorageError `ERR_STORE_SCHEMA_TOO_NEW`
   */
  static async open(
    store: RecordStore,
    masterKey: MasterKey,
    ports: RingPorts,
    policy: RotationPolicy = ROTATION_POLICY,
  ): Promise<KeyRing> {
    const existing = (await store.getKeyRing()) ?? (await KeyRing.#found(store, masterKey, ports));
    const document = parseRing(existing);
    if (document === null) return refuseSlowly(masterKey);
    const kek = await KeyEncryptionKey.derive(masterKey, document.body.ringId, document.body.kdf);
    requireSealed(document, kek);
    return new KeyRing(store, ports, policy, { kek, opened: { text: existing, body: document.body } });
  }

  static async #found(store: RecordStore, masterKey: MasterKey, ports: RingPorts): Promise<string> {
    const ringId = newRingId(ports.random);
    const kdf = newDerivation(masterKey, ports);
    const kek = await KeyEncryptionKey.derive(masterKey, ringId, kdf);
    const founded = encodeRing(foundRing(ringId, kdf, kek, ports), kek);
    kek.release();
    await store.compareAndSetKeyRing(founded, null);
    // Another process may have founded it first: what counts is what is stored.
    return (await store.getKeyRing()) ?? founded;
  }

  get ringId(): string {
    return this.#opened.body.ringId;
  }

  get activeKeyId(): string {
    return this.#opened.body.activeKey;
  }

  get derivation(): 'raw' | 'passphrase' {
    return this.#opened.body.kdf.algorithm === 'raw' ? 'raw' : 'passphrase';
  }

  /** When the policy replaces the active key for its age. */
  get rotationDueAt(): Date {
    const active = this.#opened.body.keys.find((key) => key.keyId === this.activeKeyId);
    return new Date(new Date(active?.createdAt ?? 0).getTime() + this.#policy.maxAgeMs);
  }

  /**
   * The key to seal one value under, counted. Replaces the active key when it is worn out.
   *
   * @throws KeyRingError `ERR_KEYRING_KEY_EXHAUSTED` when it cannot be replaced and may not be used any more
   */
  async takeKey(): Promise<DataKey> {
    // Another process may have rotated: the newest ring decides what is sealed under.
    await this.refresh();
    const worn = this.rotationDueAt <= this.#ports.clock.now();
    if (worn || !(await this.#budget.take(this.activeKeyId, this.#policy.maxEncryptions))) return this.#takeFreshKey();
    return this.#requireKey(this.activeKeyId);
  }

  /** The key that an envelope names; `null` when the ring did not hold it when it was last read. */
  key(keyId: Buffer): DataKey | null {
    return this.#keys.get(keyId.toString('hex')) ?? null;
  }

  /**
   * The key that an envelope names. An unknown one may be new: the ring is read again, once.
   *
   * @throws KeyRingError `ERR_KEYRING_KEY_UNKNOWN`, `ERR_KEYRING_MASTER_KEY_MISMATCH` when the master key was changed
   */
  async findKey(keyId: Buffer): Promise<DataKey> {
    const known = this.key(keyId);
    if (known) return known;
    await this.refresh();
    const found = this.key(keyId);
    if (found) return found;
    if (this.#foreign !== null) throw changedMeanwhile();
    throw new KeyRingError(
      'ERR_KEYRING_KEY_UNKNOWN',
      'A sealed value names a data key that the key ring does not hold.',
    );
  }

  /** Reads the stored ring again when another process has changed it. */
  async refresh(): Promise<void> {
    const text = await this.#store.getKeyRing();
    if (text === null || text === this.#opened.text || text === this.#foreign) return;
    const document = parseRing(text);
    try {
      if (document?.body.ringId !== this.ringId) throw mismatch();
      requireSealed(document, this.#kek);
      this.#takeKeys(document.body);
      this.#opened = { text, body: document.body };
      this.#foreign = null;
    } catch (error) {
      // The keys at hand go on serving; only new ones cannot be had until somebody gives the new master key.
      this.#foreign = text;
      this.#ports.logger?.warn({ code: toCredentialError(error).code }, 'The master key of the key ring was changed.');
    }
  }

  /**
   * Makes a new data key the active one, at once. What was sealed before stays readable. Returns the new key's id.
   *
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` when another process changed the master key
   */
  async rotate(): Promise<string> {
    await this.#change((body) => withNewKey(body, this.#kek, this.#ports));
    return this.activeKeyId;
  }

  /**
   * Wraps the keys under another master key. Nothing that they have sealed is touched. Old or new master key opens the
   * store at every instant; other running engines go on with the keys that they hold.
   *
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` when another process changed the master key
   */
  async changeMasterKey(next: MasterKey): Promise<void> {
    const kdf = newDerivation(next, this.#ports);
    const kek = await KeyEncryptionKey.derive(next, this.ringId, kdf);
    const before = this.#kek;
    await this.#change((body) => rewrapped(body, before, { kek, kdf }, this.#ports.random), kek);
    this.#kek = kek;
    before.release();
  }

  /** Removes retired keys that nothing refers to any more, as the policy allows. Returns their ids. */
  async removeRetired(referenced: ReadonlySet<string>): Promise<string[]> {
    const { keepRetired: keepNewest, minRetirementMs } = this.#policy;
    const retiredBefore = new Date(this.#ports.clock.now().getTime() - minRetirementMs);
    let removed: string[] = [];
    await this.#change((body) => {
      removed = removableKeys(body, { referenced, keepNewest, retiredBefore });
      return removed.length === 0 ? null : withoutKeys(body, new Set(removed));
    });
    return removed;
  }

  async status(): Promise<DataKeyStatus[]> {
    await this.refresh();
    const { keys, activeKey } = this.#opened.body;
    return Promise.all(
      keys.map(async ({ keyId, createdAt, retiredAt }) => ({
        keyId,
        state: keyId === activeKey ? ('active' as const) : ('retired' as const),
        createdAt: new Date(createdAt),
        retiredAt: retiredAt === null ? null : new Date(retiredAt),
        encryptions: await this.#budget.reserved(keyId),
      })),
    );
  }

  /** HMAC-SHA-256 under a key of this ring; `purpose` keeps the uses apart. It stays the same when data keys rotate. */
  keyedHash(purpose: string, text: string): Buffer {
    return createHmac('sha256', keyObjectOf(this.#hashKey)).update(`${purpose}\0${text}`, 'utf8').digest();
  }

  /** Overwrites all keys with zeros. Whoever seals or opens afterwards gets a `TypeError`. */
  release(): void {
    this.#kek.release();
    this.#hashKey.release();
    for (const key of this.#keys.values()) key.encryptionKey.release();
  }

  async #takeFreshKey(): Promise<DataKey> {
    const worn = this.activeKeyId;
    try {
      await this.#change((body) => (body.activeKey === worn ? withNewKey(body, this.#kek, this.#ports) : null));
    } catch (error) {
      const { code } = toCredentialError(error);
      if (code !== 'ERR_KEYRING_MASTER_KEY_MISMATCH') throw error;
      this.#ports.logger?.warn({ code }, 'The active data key is due for rotation and cannot be replaced.');
    }
    await this.#budget.take(this.activeKeyId, HARD_LIMIT);
    return this.#requireKey(this.activeKeyId);
  }

  /** Writes a change of the ring, on top of whatever others wrote meanwhile. `null` from `change` leaves it as it is. */
  async #change(change: (body: RingBody) => RingBody | null, kek = this.#kek): Promise<void> {
    for (;;) {
      await this.refresh();
      if (this.#foreign !== null) throw changedMeanwhile();
      const { text, body } = this.#opened;
      const next = change(body);
      if (next === null) return;
      const nextText = encodeRing(next, kek);
      if (!(await this.#store.compareAndSetKeyRing(nextText, text))) continue;
      this.#opened = { text: nextText, body: next };
      // Unwrapped with the key that they are wrapped with now; keys that were known stay.
      this.#takeKeys(next, kek);
      return;
    }
  }

  #takeKeys(body: RingBody, kek = this.#kek): void {
    for (const { keyId, wrapped } of body.keys) {
      if (this.#keys.has(keyId)) continue;
      const material = kek.unwrapKey(keyId, wrapped);
      this.#keys.set(keyId, expandDataKey(Buffer.from(keyId, 'hex'), material));
      material.fill(0);
    }
    this.#requireKey(body.activeKey);
  }

  #requireKey(keyId: string): DataKey {
    const key = this.#keys.get(keyId);
    if (key) return key;
    throw new KeyRingError('ERR_KEYRING_KEY_UNKNOWN', 'The key ring has no active key.');
  }
}

function newDerivation(masterKey: MasterKey, { random }: RingPorts): RingBody['kdf'] {
  return isPassphrase(masterKey) ? newArgon2idParameters(random.bytes(ARGON2ID_SALT_BYTES)) : { algorithm: 'raw' };
}

function changedMeanwhile(): KeyRingError {
  return new KeyRingError(
    'ERR_KEYRING_MASTER_KEY_MISMATCH',
    'The master key of this database was changed while the engine ran.',
  );
}
