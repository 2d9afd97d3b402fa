import { isCredentialError, type ErrorCode } from '../errors.ts';
import type { CredentialId, CredentialRecord } from '../lifecycle/credential.ts';
import { wait } from '../lifecycle/effects.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { KeyRing } from './key-ring.ts';
import type { Vault } from './vault.ts';

/** What work on all keys and values of a store is done with. */
export interface KeyWork {
  readonly ports: Ports;
  readonly records: RecordStore;
  readonly vault: Vault;
  readonly keyRing: KeyRing;
  /** Names this engine in claims. */
  readonly owner: string;
}

/** How far a pass over all records is. */
export interface KeyProgress {
  readonly done: number;
  readonly total: number;
}

export interface KeyWorkOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: KeyProgress) => void;
}

const PAGE = 100;
const AT_ONCE = 8;
const UNREADABLE_RECORD: readonly ErrorCode[] = ['ERR_STORE_RECORD_INVALID', 'ERR_STORE_SCHEMA_TOO_NEW'];

/** A record as a pass meets it: what is stored under the id, or why it cannot be read. */
export type Visited =
  | { readonly id: CredentialId; readonly record: CredentialRecord }
  | { readonly id: CredentialId; readonly record: null; readonly code: ErrorCode };

/**
 * Calls `visit` for every record, a few at once, and lets other work of this process in between. A record that does not
 * parse is visited as well: it must not hide the others. Returns how many there were.
 */
export async function forEachRecord(
  { records, ports }: KeyWork,
  { signal = new AbortController().signal, onProgress }: KeyWorkOptions,
  visit: (visited: Visited) => Promise<void>,
): Promise<number> {
  const total = Object.values(await records.countByState()).reduce((sum, count) => sum + count, 0);
  let done = 0;
  for (let after: CredentialId | null = null; ;) {
    const ids = await records.listIds(after, PAGE);
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      const batch = await Promise.all(ids.slice(start, start + AT_ONCE).map((id) => read(records, id)));
      const present = batch.filter((visited) => visited !== null);
      await Promise.all(present.map(visit));
      done += present.length;
      // Records that came meanwhile make the total grow.
      onProgress?.({ done, total: Math.max(total, done) });
      await wait(ports, 0, signal);
    }
    const last = ids.at(-1);
    if (last === undefined || ids.length < PAGE) return done;
    after = last;
  }
}

async function read(records: RecordStore, id: CredentialId): Promise<Visited | null> {
  try {
    const record = await records.get(id);
    return record && { id, record };
  } catch (error) {
    if (!isCredentialError(error) || !UNREADABLE_RECORD.includes(error.code)) throw error;
    return { id, record: null, code: error.code };
  }
}
