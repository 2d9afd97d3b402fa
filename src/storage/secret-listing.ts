import { z } from 'zod/v4';
import { ConfigurationError, StorageError } from '../errors.ts';
import { decodeCursor, encodeCursor, pageLimit } from './listing.ts';
import type { SecretEntry, SecretFilter, SecretKey, SecretMetadata, SecretPage } from './secret-store.ts';
import { compareTexts, instantText, isStorable, requireId, requireText, TEXT_LIMITS } from './texts.ts';

const ORDER = 'secret';

/** A checked filter of sealed values. */
export interface SecretListing {
  readonly filter: SecretFilter;
  readonly tags: readonly string[];
  readonly limit: number;
  /** The last value of the page before. */
  readonly after: SecretKey | null;
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function parseSecretListing(filter: SecretFilter): SecretListing {
  for (const field of ['credentialId', 'ownerId', 'scopeId', 'protocol'] as const) {
    const text = filter[field];
    if (text !== undefined) requireText(field, text, TEXT_LIMITS.name);
  }
  for (const tag of filter.tags ?? []) requireText('tags', tag, TEXT_LIMITS.tag);
  if (filter.expiringBefore) instantText('expiringBefore', filter.expiringBefore);
  const after = filter.cursor === undefined ? null : parseKey(decodeCursor(filter.cursor, ORDER).key);
  return { filter, tags: [...new Set(filter.tags)], limit: pageLimit(filter.limit), after };
}

/** A page out of one entry more than was asked for. */
export function secretPageOf(listing: SecretListing, entries: readonly SecretEntry[]): SecretPage {
  const page = entries.slice(0, listing.limit);
  const last = page.at(-1);
  const isLast = entries.length <= listing.limit || last === undefined;
  return { entries: page, nextCursor: isLast ? null : encodeCursor(ORDER, JSON.stringify(partsOf(last.key)), '') };
}

/** The parts of a name in the order that pages are in. */
export function partsOf({ credentialId, field, generation, attemptId }: SecretKey): [string, string, number, string] {
  return [credentialId, field, generation, attemptId];
}

export function compareSecretKeys(a: SecretKey, b: SecretKey): number {
  return (
    compareTexts(a.credentialId, b.credentialId) ||
    compareTexts(a.field, b.field) ||
    a.generation - b.generation ||
    compareTexts(a.attemptId, b.attemptId)
  );
}

/** Refuses names and labels that some driver could not keep. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function requireSecretStorable(key: SecretKey, metadata: SecretMetadata | null): void {
  requireId('credentialId', key.credentialId);
  requireId('attemptId', key.attemptId);
  if (!Number.isSafeInteger(key.generation) || key.generation < 0) {
    throw new TypeError('Expected a generation that is a whole number.');
  }
  if (metadata === null) return;
  requireText('protocol', metadata.protocol, TEXT_LIMITS.protocol);
  for (const field of ['ownerId', 'scopeId'] as const) requireText(field, metadata[field] ?? '', TEXT_LIMITS[field]);
  for (const tag of metadata.tags) requireText('tags', tag, TEXT_LIMITS.tag);
  for (const field of ['expiresAt', 'createdAt', 'updatedAt'] as const) {
    const instant = metadata[field];
    if (instant !== null) instantText(field, instant);
  }
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const keySchema = z.tuple([
  z.string().refine(isStorable),
  z.enum(['registered', 'grant', 'authorization']),
  z.int().nonnegative(),
  z.string().refine(isStorable),
]);
const metadataSchema = z.strictObject({
  ownerId: z.string().nullable(),
  scopeId: z.string().nullable(),
  protocol: z.string(),
  tags: z.array(z.string()),
  expiresAt: instant.nullable(),
  createdAt: instant,
  updatedAt: instant,
});

export function encodeMetadata(metadata: SecretMetadata | undefined): string | null {
  return metadata === undefined ? null : JSON.stringify(metadata);
}

/** @throws StorageError `ERR_STORE_RECORD_INVALID` */
export function parseMetadata(text: string | null): SecretMetadata | null {
  if (text === null) return null;
  const result = metadataSchema.safeParse(parseJson(text));
  if (result.success) return result.data;
  throw new StorageError('ERR_STORE_RECORD_INVALID', 'The stored label of a sealed value is not valid.');
}

function parseKey(text: string): SecretKey {
  const result = keySchema.safeParse(parseJson(text));
  if (!result.success)
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The cursor is not one that this list returned.');
  const [credentialId, field, generation, attemptId] = result.data;
  return { credentialId, field, generation, attemptId };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
