import { isCredentialError, StorageError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Ports } from '../ports.ts';
import type { DriverInput, ProtocolDriver, ProtocolRegistry } from '../protocols/protocol.ts';
import type { Secret } from '../secret.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { Vault } from '../vault/vault.ts';
import type { Behind } from './behind.ts';
import type { CredentialId, CredentialRecord } from './credential.ts';
import { eventOf, type CredentialEvent, type EventType } from './events.ts';
import type { Settled } from './machine.ts';
import type { RequestGate } from './request-gate.ts';
import type { RotationReason } from './rotation/progress.ts';
import type { Spool, UnsavedAnswers } from './spool.ts';
import { parseSealedGrant } from './sealed-grant.ts';

/** What effects work with. */
export interface Surroundings {
  readonly ports: Ports;
  readonly records: RecordStore;
  readonly vault: Vault;
  readonly drivers: ProtocolRegistry;
  /** Stands before each request that obtains a grant. */
  readonly gate: RequestGate;
  /** Names this engine in claims. */
  readonly owner: string;
  /** Where answers wait durably that the store cannot take; `null` where there is no folder for it. */
  readonly spool: Spool | null;
  readonly unsaved: UnsavedAnswers;
  readonly behind: Behind;
  /** When a record as it now is has to be tested, and its owner told of an end, by the rules of this engine. */
  readonly planHealth: (record: CredentialRecord, now: Date) => Pick<CredentialRecord, 'testDueAt' | 'noticeDueAt'>;
}

/** The record, with everything that was sealed for it. */
export interface Opened {
  readonly record: CredentialRecord;
  readonly driver: ProtocolDriver;
  readonly registered: Secret<JsonObject>;
  readonly grant: Secret<JsonObject> | null;
}

/** @throws StorageError `ERR_STORE_CONFLICT` when the record vanished meanwhile. */
export async function requireRecord({ records }: Surroundings, id: CredentialId): Promise<CredentialRecord> {
  const record = await records.get(id);
  if (record) return record;
  throw new StorageError('ERR_STORE_CONFLICT', 'The credential does not exist any more.', { credentialId: id });
}

/**
 * Opens everything that was sealed for a record. A value that is gone was sealed again meanwhile: then the record is read
 * again, and the answer holds the newer one.
 */
export function openRecord(surroundings: Surroundings, record: CredentialRecord): Promise<Opened> {
  return openNewest(surroundings, record, async (newest) => {
    const registered = await surroundings.vault.get(newest, newest.registered);
    return { ...(await grantOf(surroundings, newest)), registered };
  });
}

/** Opens the grant alone, which is all that a use needs; otherwise as `openRecord`. */
export function openGrant(surroundings: Surroundings, record: CredentialRecord): Promise<Omit<Opened, 'registered'>> {
  return openNewest(surroundings, record, (newest) => grantOf(surroundings, newest));
}

async function openNewest<T>(
  { records }: Surroundings,
  record: CredentialRecord,
  open: (record: CredentialRecord) => Promise<T>,
): Promise<T> {
  try {
    return await open(record);
  } catch (error) {
    if (!isCredentialError(error) || error.code !== 'ERR_CREDENTIAL_UNREADABLE') throw error;
    const current = await records.get(record.id);
    if (current === null || current.revision === record.revision) throw error;
    return open(current);
  }
}

async function grantOf(
  { vault, drivers }: Surroundings,
  record: CredentialRecord,
): Promise<Omit<Opened, 'registered'>> {
  const grant = record.grant === null ? null : parseSealedGrant(await vault.get(record, record.grant)).grant;
  return { record, driver: drivers.driver(record.protocol), grant };
}

export function driverInput({ record, registered, grant }: Opened, signal: AbortSignal): DriverInput {
  return { config: record.config, registered, grant, signal };
}

const ENDS = ['grantExpiresAt', 'idleExpiresAt', 'secretExpiresAt'] as const satisfies (keyof CredentialRecord)[];

/** The record's next revision with these changes. */
export function revised(record: CredentialRecord, changes: Partial<CredentialRecord>, now: Date): CredentialRecord {
  const next = { ...record, ...changes, revision: record.revision + 1, updatedAt: now };
  // Whoever moves an end without planning its notices leaves that to the scheduler, at once.
  const moved = ENDS.some((name) => next[name]?.getTime() !== record[name]?.getTime());
  if (moved && !('noticeDueAt' in changes)) return { ...next, noticeDueAt: now, ...arrivedAt(record, next, now) };
  return { ...next, ...arrivedAt(record, next, now) };
}

function arrivedAt(
  record: CredentialRecord,
  next: CredentialRecord,
  now: Date,
): Pick<CredentialRecord, 'stateChangedAt' | 'healthChangedAt'> {
  return {
    stateChangedAt: next.state === record.state ? next.stateChangedAt : now,
    healthChangedAt: next.health === record.health ? next.healthChangedAt : now,
  };
}

export function newId(ports: Ports): string {
  return ports.random.bytes(16).toString('hex');
}

/** @param reason of a rotation; the record's own otherwise */
export function eventsOf(
  types: readonly EventType[],
  record: CredentialRecord,
  ports: Ports,
  reason: RotationReason | null = null,
): CredentialEvent[] {
  return types.map((type) => ({ ...eventOf(type, record, newId(ports)), ...(reason !== null && { reason }) }));
}

/** The machine's view of a record as it now is. */
export function settledAt(record: CredentialRecord, events: readonly CredentialEvent[] = []): Settled {
  const { state, generation, reason } = record;
  return { outcome: 'settled', state, generation, reason, events };
}

/** Waits on the engine's clock. Rejects with the signal's reason when it is aborted. */
export async function wait({ clock }: Ports, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal.reason instanceof Error ? signal.reason : new DOMException('Aborted', 'AbortError'));
    };
    const onTime = (): void => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    };
    const cancel = clock.schedule(ms, onTime, { keepAlive: true });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
