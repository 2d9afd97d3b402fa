import type { Clock } from '../ports.ts';
import { MemoryRecordStore } from './memory-records.ts';
import { MemorySecretStore } from './memory-secrets.ts';
import type { Stores } from './stores.ts';

/**
 * Records and secrets that end with the process. The reference for every driver: it says in plain maps and loops what the
 * others say in SQL, and the conformance suites and property tests compare them with it.
 */
export function openMemory(clock: Clock): Stores {
  return { records: new MemoryRecordStore(clock), secrets: new MemorySecretStore(), backup: null };
}
