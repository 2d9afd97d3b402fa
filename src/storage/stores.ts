import type { RecordStore } from './record-store.ts';
import type { SecretStore } from './secret-store.ts';

/** Records and secrets of one engine. Closing the records closes both. */
export interface Stores {
  readonly records: RecordStore;
  readonly secrets: SecretStore;
}
