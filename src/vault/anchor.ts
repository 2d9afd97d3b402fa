import { open, readFile, rename } from 'node:fs/promises';
import { z } from 'zod/v4';
import { isCredentialError, StorageError, toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { KeyRing } from './key-ring.ts';
import type { StoreSeal } from './store-seal.ts';

/**
 * A place outside the store, out of reach of whoever can replace the store: a file on another volume, a row elsewhere. It
 * keeps one short text that holds no secret.
 */
export interface Anchor {
  /** The text written last; `null` when there is none yet. */
  read(): Promise<string | null>;
  /** Replaces it, whole or not at all. */
  write(text: string): Promise<void>;
}

const DELAY_MS = 1_000;
const anchoredSchema = z.strictObject({ ringId: z.string(), sequence: z.int().nonnegative(), mac: z.string() });

/** An anchor in a file, which should lie on another volume than the database. */
export class FileAnchor implements Anchor {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  read(): Promise<string | null> {
    return this.#access(async () => {
      try {
        return await readFile(this.#path, 'utf8');
      } catch (error) {
        if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') return null;
        throw error;
      }
    });
  }

  write(text: string): Promise<void> {
    // One after the other: two writers of one fresh file would mix their bytes.
    const written = this.#writing.then(() => this.#access(() => this.#replace(text)));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #replace(text: string): Promise<void> {
    const fresh = `${this.#path}.${String(process.pid)}`;
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
  }

  async #access<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unknown error';
      throw new StorageError('ERR_STORE_UNAVAILABLE', `The anchor ${this.#path} cannot be used (${code}).`);
    }
  }
}

/** Holds a store to its anchor: refuses one that is older than what the anchor has seen, and moves the anchor on. */
export class AnchorWatch {
  readonly #anchor: Anchor;
  readonly #store: RecordStore;
  readonly #keyRing: KeyRing;
  readonly #seal: StoreSeal;
  readonly #ports: Pick<Ports, 'clock' | 'logger'>;
  #cancel: (() => void) | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    anchor: Anchor,
    { store, keyRing, seal }: { store: RecordStore; keyRing: KeyRing; seal: StoreSeal },
    ports: Pick<Ports, 'clock' | 'logger'>,
  ) {
    this.#anchor = anchor;
    this.#store = store;
    this.#keyRing = keyRing;
    this.#seal = seal;
    this.#ports = ports;
  }

  /** @throws StorageError `ERR_STORE_ROLLED_BACK` */
  async requireNotOlder(): Promise<void> {
    const anchored = this.#parse(await this.#anchor.read());
    if (anchored === null) return;
    const sequence = await this.#sequence();
    if (anchored.ringId === this.#keyRing.ringId && sequence >= anchored.sequence) return;
    throw new StorageError(
      'ERR_STORE_ROLLED_BACK',
      anchored.ringId === this.#keyRing.ringId
        ? `The database is at change ${String(sequence)}; its anchor has seen change ${String(anchored.sequence)}.`
        : 'The database is not the one that its anchor belongs to.',
    );
  }

  /** Whether the store is older than what the anchor has seen, or another one. */
  async isOlder(): Promise<boolean> {
    try {
      await this.requireNotOlder();
      return false;
    } catch (error) {
      if (isCredentialError(error) && error.code === 'ERR_STORE_ROLLED_BACK') return true;
      throw error;
    }
  }

  /** Moves the anchor on a little later, once for many changes. */
  soon(): void {
    this.#cancel ??= this.#ports.clock.schedule(DELAY_MS, () => {
      this.#cancel = null;
      this.#writing = this.#writeOrLog();
    });
  }

  /** Writes where the store is now. */
  async write(): Promise<void> {
    const { ringId } = this.#keyRing;
    const sequence = await this.#sequence();
    const present = this.#parse(await this.#anchor.read());
    // Another process may be ahead of us.
    if (present?.ringId === ringId && present.sequence > sequence) return;
    await this.#anchor.write(this.#text(sequence));
  }

  /** Takes the store as it is as what is to be. */
  async accept(): Promise<void> {
    await this.#anchor.write(this.#text(await this.#sequence()));
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    const pending = this.#cancel !== null;
    this.#cancel?.();
    this.#cancel = null;
    await this.#writing;
    if (pending) await this.#writeOrLog();
  }

  /** An anchor that cannot be reached ends no work: it stays behind, which refuses nothing that is right. */
  async #writeOrLog(): Promise<void> {
    try {
      await this.write();
    } catch (error) {
      this.#ports.logger.error({ code: toCredentialError(error).code }, 'The anchor could not be written.');
    }
  }

  async #sequence(): Promise<number> {
    return this.#seal.open(await this.#store.getSeal())?.sequence ?? 0;
  }

  /** `null` when there is none, or none that counts: what is no anchor of ours cannot say that a store is old. */
  #parse(text: string | null): { ringId: string; sequence: number } | null {
    if (text === null) return null;
    const result = anchoredSchema.safeParse(parseJson(text));
    if (!result.success) throw unusable();
    const { ringId, sequence, mac } = result.data;
    if (ringId === this.#keyRing.ringId && mac !== this.#mac(ringId, sequence)) throw unusable();
    return { ringId, sequence };
  }

  #text(sequence: number): string {
    const { ringId } = this.#keyRing;
    return `${JSON.stringify({ ringId, sequence, mac: this.#mac(ringId, sequence) })}\n`;
  }

  #mac(ringId: string, sequence: number): string {
    return this.#keyRing.keyedHash('anchor', `${ringId} ${String(sequence)}`).toString('hex');
  }
}

function unusable(): StorageError {
  return new StorageError('ERR_STORE_ROLLED_BACK', 'The anchor was altered: nothing says how old this database is.');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
