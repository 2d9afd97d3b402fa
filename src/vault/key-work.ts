import type { CredentialRecord } from '../lifecycle/credential.ts';
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

/** Calls `visit` for every record, a few at once, and lets other work of this process in between. Returns how many. */
export async function forEachRecord(
  { records, ports }: KeyWork,
  { signal = new AbortController().signal, onProgress }: KeyWorkOptions,
  visit: (record: CredentialRecord) => Promise<void>,
): Promise<number> {
  const total = Object.values(await records.countByState()).reduce((sum, count) => sum + count, 0);
  let done = 0;
  let cursor: string | null = null;
  do {
    const page = await records.list({ limit: PAGE, ...(cursor !== null && { cursor }) });
    for (let start = 0; start < page.records.length; start += AT_ONCE) {
      const batch = page.records.slice(start, start + AT_ONCE);
      await Promise.all(batch.map(visit));
      done += batch.length;
      // Records that came meanwhile make the total grow.
      onProgress?.({ done, total: Math.max(total, done) });
      await wait(ports, 0, signal);
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  return done;
}
