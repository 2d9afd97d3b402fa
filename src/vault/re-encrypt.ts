import { isCredentialError } from '../errors.ts';
import { pointersOf, type CredentialId, type CredentialRecord, type SecretPointer } from '../lifecycle/credential.ts';
import { newId, revised, wait } from '../lifecycle/effects.ts';
import { isAwaited } from '../lifecycle/pending-authorization.ts';
import { revocationsOf } from '../lifecycle/revocations.ts';
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
  const maybe = async (pointer: SecretPointer | null): Promise<SecretPointer | null> => pointer && again(pointer);
  const [registered, grant] = [await again(record.registered), await maybe(record.grant)];
  const [next, previous] = [await maybe(record.next), await maybe(record.previous)];
  const rotated = await maybe(record.rotation.grant);
  const rotation = { ...record.rotation, grant: rotated && { ...rotated, field: 'grant' as const } };
  const flipped = { ...record, registered, grant, next, previous, rotation };
  const moved = pointersOf(record).filter((pointer) => !holds(pointersOf(flipped), pointer));
  if (moved.length > 0) {
    const written = await records.compareAndSet({
      record: revised(flipped, {}, ports.clock.now()),
      expectedRevision: record.revision,
      claim,
    });
    // Somebody wrote without a claim, for example a revocation: what was sealed here is pointed at by nobody and goes next time.
    if (!written) return 'busy';
    tally.reEncrypted += moved.length;
    for (const pointer of moved) await vault.delete(record, pointer);
  }
  const owed = await resealOwed(work, record, stale, tally);
  const unreferenced = stale.filter(({ pointer }) => !holds([...pointersOf(record), ...owed], pointer));
  return collectStale(work, { ...flipped, revision: record.revision + 1 }, unreferenced, tally);
}

function holds(pointers: readonly SecretPointer[], pointer: SecretPointer): boolean {
  return pointers.some((each) => isSamePointer(each, pointer));
}

/** Values that are still to be ended at the other side: their entries name the newly sealed ones before the old ones go. */
async function resealOwed(
  { records, vault, ports }: KeyWork,
  record: CredentialRecord,
  stale: readonly SealedValue[],
  tally: Tally,
): Promise<SecretPointer[]> {
  const resealed: SecretPointer[] = [];
  for (const revocation of await revocationsOf(records, record.id)) {
    const { value } = revocation;
    if (value === null || !stale.some(({ pointer }) => isSamePointer(pointer, value))) continue;
    const again = await vault.reseal(record, value, newId(ports));
    await records.putPendingRevocation({ ...revocation, value: again });
    await vault.delete(record, value);
    tally.reEncrypted += 1;
    resealed.push(value);
  }
  return resealed;
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
 * A grant of the generation to come may be the sealed answer of a refresh or of a candidate's test, which is pointed at next.
 * A secret that nothing points at may be a candidate or an update under way, unless it is what a pass that was killed has
 * left: then the value that counts holds the same.
 */
async function isGarbage(vault: Vault, record: CredentialRecord, pointer: SecretPointer, now: Date): Promise<boolean> {
  if (pointer.field === 'authorization') return !isAwaited(record.authorizations, pointer, now);
  if (pointer.field === 'grant') return pointer.generation <= record.generation;
  const isCandidate = pointer.attemptId === record.rotation.attemptId;
  if (isCandidate && record.next === null) return false;
  for (const counts of pointersOf(record).filter(({ field }) => field === 'registered')) {
    if (await vault.holdSame(record, pointer, counts)) return true;
  }
  return false;
}

/** Values under another key than the active one. */
async function staleValues({ vault, keyRing }: KeyWork, record: CredentialRecord): Promise<SealedValue[]> {
  return (await vault.values(record.id)).filter(({ keyId }) => keyId !== keyRing.activeKeyId);
}
