import { toCredentialError, type CredentialError } from '../errors.ts';
import type { SecretKey, SecretMetadata, SecretStore } from './secret-store.ts';

export interface BatchOptions {
  /** Calls under way at one time; default 8. */
  readonly concurrency?: number;
  /** Starts no further call once aborted; the rest fails with the signal's reason, wrapped as `ERR_INTERNAL`. */
  readonly signal?: AbortSignal;
}

/** What became of one item. One item's failure never hides the others. */
export type BatchResult<T> = { readonly key: SecretKey } & (
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: CredentialError }
);

export interface SecretValue {
  readonly key: SecretKey;
  readonly envelope: Buffer;
  readonly metadata?: SecretMetadata;
}

const DEFAULT_CONCURRENCY = 8;

/** Stores many values; `value` of a result is that of `putIfAbsent`. Results are in the order of the items. */
export async function putSecrets(
  store: SecretStore,
  items: readonly SecretValue[],
  options: BatchOptions = {},
): Promise<BatchResult<boolean>[]> {
  return runBatch(items, options, ({ key, envelope, metadata }) => store.putIfAbsent(key, envelope, metadata));
}

/** Reads many values; `value` of a result is `null` where there is none. Results are in the order of the keys. */
export async function getSecrets(
  store: SecretStore,
  keys: readonly SecretKey[],
  options: BatchOptions = {},
): Promise<BatchResult<Buffer | null>[]> {
  const items = keys.map((key) => ({ key }));
  return runBatch(items, options, ({ key }) => store.get(key));
}

async function runBatch<Item extends { readonly key: SecretKey }, T>(
  items: readonly Item[],
  { concurrency = DEFAULT_CONCURRENCY, signal }: BatchOptions,
  operation: (item: Item) => Promise<T>,
): Promise<BatchResult<T>[]> {
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new TypeError('Expected a concurrency of at least 1.');
  const results: BatchResult<T>[] = [];
  // Workers share one iterator, so that a slow item holds up nobody else.
  const queue = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await runOne(item, signal, operation);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
  return results;
}

async function runOne<Item extends { readonly key: SecretKey }, T>(
  item: Item,
  signal: AbortSignal | undefined,
  operation: (item: Item) => Promise<T>,
): Promise<BatchResult<T>> {
  const { key } = item;
  try {
    signal?.throwIfAborted();
    return { key, ok: true, value: await operation(item) };
  } catch (error) {
    return { key, ok: false, error: toCredentialError(error) };
  }
}
