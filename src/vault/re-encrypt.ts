import { isCredentialError } from '../errors.ts';
import type { CredentialId, CredentialRecord, SecretPointer } from '../lifecycle/credential.ts';
import { newId, revised, wait } from '../lifecycle/effects.ts';
import { isAwaited } from '../lifecycle/pending-authorization.ts';
import type { Claim } from '../storage/record-store.ts';
import { forEachRecord, type KeyWork, type KeyWorkOptions } from './key-work.ts';
import { isSamePointer, type SealedValue, type Vault } from './vault.ts';

/** Why a value is still under another key: a refresh holds the record, an answer waits to be pointed at, it does not open. */
export type LeftReason = 'busy' | 'inFlight' | 'unreadable';

export interface ReEncryption {
  readonly records: number;
  /** Values that were sealed again under the active key. */
  readonly reEncrypted: number;
  /** Values that nothing pointed at any more, deleted. */
  readonly collected: number;
  /** What is still under another key than the active one; empty when nothing is. */
  readonly left: readonly { readonly credentialId: CredentialId; readonly reason: LeftReason }[];
  /** Data keys that nothing refers to any more and that were removed. */
  readonly removedKeys: readonly string[];
}

const LEASE_MS = 4_000;
const PASSES = 3;
const PAUSE_MS = 250;

interface Tally {
  reEncrypted: number;
  collected: number;
}

/**
 * Brings every value under the active key while others read and write. Each record is taken by a claim, as a refresh takes
 * it; its values are sealed again under new attempt ids; one compare-and-set points the record at them; then the old ones
 * go. A reader that holds the record of before reads the record again (`openRecord`). What is done shows in the store
 * itself, so a pass that was killed is resumed by the next one.
 */
export async function reEncrypt(work: KeyWork, options: KeyWorkOptions = {}): Promise<ReEncryption> {
  const tally: Tally = { reEncrypted: 0, collected: 0 };
  for (let pass = 1; ; pass += 1) {
    const { records, left, referenced } = await passOver(work, tally, options);
    if (left.length === 0 || pass === PASSES || left.every(({ reason }) => reason !== 'busy')) {
      return { records, ...tally, left, removedKeys: await work.keyRing.removeRetired(referenced) };
    }
    await wait(work.ports, PAUSE_MS, options.signal ?? new AbortController().signal);
  }
}

async function passOver(work: KeyWork, tally: Tally, options: KeyWorkOptions) {
  const left: { credentialId: CredentialId; reason: LeftReason }[] = [];
  const referenced = new Set<string>();
  await work.keyRing.refresh();
  const records = await forEachRecord(work, options, async ({ id, record }) => {
    const reason = record === null ? 'unreadable' : await bringUnderActiveKey(work, record, tally);
    if (reason !== null) left.push({ credentialId: id, reason });
    // Read once more after the work: what is stored now is what keeps a key.
    for (const { keyId } of await work.vault.values(id)) if (keyId !== null) referenced.add(keyId);
  });
  return { records, left, referenced };
}

async function bringUnderActiveKey(work: KeyWork, record: CredentialRecord, tally: Tally): Promise<LeftReason | null> {
  if ((await staleValues(work, record)).length === 0) return null;
  const claim = await work.records.claim(record.id, work.owner, LEASE_MS);
  if (claim === null) return 'busy';
  try {
    return await reseal(work, record.id, claim, tally);
  } catch (error) {
    if (isCredentialError(error) && error.name === 'KeyRingError') return 'unreadable';
    throw error;
  } finally {
    await work.records.releaseClaim(claim);
  }
}

async function reseal(work: KeyWork, id: CredentialId, claim: Claim, tally: Tally): Promise<LeftReason | null> {
  const { records, vault, ports } = work;
  // A row read before the claim is stale.
  const record = await records.get(id);
  if (record === null) return null;
  const stale = await staleValues(work, record);
  const again = async (pointer: SecretPointer): Promise<SecretPointer> => {
    if (!stale.some((value) => isSamePointer(value.pointer, pointer))) return pointer;
    return vault.reseal(record, pointer, newId(ports));
  };
  const registered = await again(record.registered);
  const grant = record.grant && (await again(record.grant));
  const moved = pointersOf(record).filter((pointer) => !pointersOf({ registered, grant }).includes(pointer));
  if (moved.length > 0) {
    const next = revised(record, { registered, grant }, ports.clock.now());
    const written = await records.compareAndSet({ record: next, expectedRevision: record.revision, claim });
    // Somebody wrote without a claim, for example a revocation: what was sealed here is pointed at by nobody and goes next time.
    if (!written) return 'busy';
    tally.reEncrypted += moved.length;
    for (const pointer of moved) await vault.delete(record, pointer);
  }
  const unreferenced = stale.filter(({ pointer }) => !pointersOf(record).some((each) => isSamePointer(each, pointer)));
  return collectStale(work, { ...record, registered, grant }, unreferenced, tally);
}

/** Deletes what is under an old key and can never be pointed at again. */
async function collectStale(
  { vault, ports }: KeyWork,
  record: CredentialRecord,
  unreferenced: readonly SealedValue[],
  tally: Tally,
): Promise<LeftReason | null> {
  let left: LeftReason | null = null;
  for (const { pointer } of unreferenced) {
    if (await isGarbage(vault, record, pointer, ports.clock.now())) {
      await vault.delete(record, pointer);
      tally.collected += 1;
    } else {
      left = 'inFlight';
    }
  }
  return left;
}

/**
 * A grant of the generation to come may be the sealed answer of a refresh, which is pointed at next. What an owner entered
 * and nothing points at may be an update under way, unless it is what a pass that was killed has left: then the value that
 * counts holds the same.
 */
async function isGarbage(vault: Vault, record: CredentialRecord, pointer: SecretPointer, now: Date): Promise<boolean> {
  if (pointer.field === 'authorization') return !isAwaited(record.authorizations, pointer, now);
  if (pointer.field === 'grant') return pointer.generation <= record.generation;
  return vault.holdSame(record, pointer, record.registered);
}

/** Values under another key than the active one. */
async function staleValues({ vault, keyRing }: KeyWork, record: CredentialRecord): Promise<SealedValue[]> {
  return (await vault.values(record.id)).filter(({ keyId }) => keyId !== keyRing.activeKeyId);
}

function pointersOf({ registered, grant }: Pick<CredentialRecord, 'registered' | 'grant'>): SecretPointer[] {
  return grant === null ? [registered] : [registered, grant];
}
