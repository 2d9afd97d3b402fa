import {
  compareSecretKeys,
  parseSecretListing,
  partsOf,
  requireSecretStorable,
  secretPageOf,
} from './secret-listing.ts';
import type { SecretListing } from './secret-listing.ts';
import type { SecretEntry, SecretFilter, SecretKey, SecretMetadata, SecretPage, SecretStore } from './secret-store.ts';

interface Value {
  readonly key: SecretKey;
  readonly envelope: Buffer;
  readonly metadata: SecretMetadata | null;
}

/** Sealed envelopes in a map. Every filter looks at every value. */
export class MemorySecretStore implements SecretStore {
  readonly #values = new Map<string, Value>();

  async putIfAbsent(key: SecretKey, envelope: Buffer, metadata?: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata ?? null);
    const name = nameOf(key);
    if (this.#values.has(name)) return false;
    // Copies on the way in and out: a caller that wipes its buffer must not wipe ours.
    this.#values.set(name, { key: only(key), envelope: Buffer.from(envelope), metadata: copyOf(metadata) });
    return true;
  }

  async get(key: SecretKey): Promise<Buffer | null> {
    const value = this.#values.get(nameOf(key));
    return value ? Buffer.from(value.envelope) : null;
  }

  async delete(key: SecretKey): Promise<void> {
    this.#values.delete(nameOf(key));
  }

  async list(credentialId: string): Promise<SecretKey[]> {
    return this.#sorted()
      .filter(({ key }) => key.credentialId === credentialId)
      .map(({ key }) => key);
  }

  async listMetadata(filter: SecretFilter): Promise<SecretPage> {
    const listing = parseSecretListing(filter);
    const found = this.#sorted().filter((value) => matches(value, listing));
    return secretPageOf(listing, found.slice(0, listing.limit + 1).map(entryOf));
  }

  async updateMetadata(key: SecretKey, metadata: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata);
    const value = this.#values.get(nameOf(key));
    if (value) this.#values.set(nameOf(key), { ...value, metadata: copyOf(metadata) });
    return value !== undefined;
  }

  #sorted(): Value[] {
    return [...this.#values.values()].sort((a, b) => compareSecretKeys(a.key, b.key));
  }
}

function matches({ key, metadata }: Value, { filter, tags, after }: SecretListing): boolean {
  const { credentialId, ownerId, scopeId, protocol, expiringBefore } = filter;
  const { expiresAt = null } = metadata ?? {};
  return (
    (credentialId === undefined || key.credentialId === credentialId) &&
    (ownerId === undefined || metadata?.ownerId === ownerId) &&
    (scopeId === undefined || metadata?.scopeId === scopeId) &&
    (protocol === undefined || metadata?.protocol === protocol) &&
    (expiringBefore === undefined || (expiresAt !== null && expiresAt < expiringBefore)) &&
    tags.every((tag) => metadata?.tags.includes(tag)) &&
    (after === null || compareSecretKeys(key, after) > 0)
  );
}

function entryOf({ key, metadata }: Value): SecretEntry {
  return { key, metadata };
}

function only({ credentialId, field, generation, attemptId }: SecretKey): SecretKey {
  return { credentialId, field, generation, attemptId };
}

function copyOf(metadata: SecretMetadata | undefined): SecretMetadata | null {
  return metadata === undefined ? null : structuredClone(metadata);
}

function nameOf(key: SecretKey): string {
  return JSON.stringify(partsOf(key));
}
