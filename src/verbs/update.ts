import { ConfigurationError, StorageError, TransientError } from '../errors.ts';
import { canonicalJson, type JsonObject } from '../json.ts';
import {
  lifecycleStateOf,
  type CredentialId,
  type CredentialRecord,
  type SecretPointer,
} from '../lifecycle/credential.ts';
import { eventsOf, newId, openRecord, revised, type Opened, type Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import { secondChance } from '../lifecycle/policy.ts';
import { parseNames } from '../lifecycle/register.ts';
import { revocationsOf } from '../lifecycle/revocations.ts';
import { openStepOf } from '../lifecycle/rotation/progress.ts';
import type { Entered } from '../protocols/protocol.ts';
import { Secret } from '../secret.ts';
import type { Claim } from '../storage/record-store.ts';
import { refusal } from '../summary.ts';
import { whileClaimed } from './claimed.ts';

/** What to change of a credential. What is absent stays; `null` takes a value away. */
export interface CredentialChanges {
  readonly name?: string;
  readonly ownerId?: string | null;
  readonly scopeId?: string | null;
  /** All of its tags. */
  readonly tags?: readonly string[];
  /** All of its settings: what is not in here goes back to its default. */
  readonly config?: unknown;
  /** The whole secret. */
  readonly secret?: unknown;
  /** How often it is tested by schedule; 0 for never, `null` for as often as the engine tests. */
  readonly testEveryMs?: number | null;
}

export interface Updated {
  readonly events: readonly CredentialEvent[];
  /** Settings or secret are others now: only a test shows whether they are good. */
  readonly needsTest: boolean;
}

/**
 * Changes a credential whole or not at all. A refresh that is in flight ends first, with the settings that it began with; the
 * change is made on top of what it brought. The grant goes when the driver says that it belongs to what was entered before;
 * it is not revoked at the other side, because that may end what was entered now with it.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`: then nothing was changed
 * @throws ReauthorizationRequiredError `ERR_CREDENTIAL_REVOKED`
 * @throws TransientError `ERR_REFRESH_IN_PROGRESS`
 */
export async function updateRecord(
  surroundings: Surroundings,
  id: CredentialId,
  changes: CredentialChanges,
): Promise<Updated> {
  return whileClaimed(surroundings, id, async (record, claim) => {
    const now = surroundings.ports.clock.now();
    if (lifecycleStateOf(record.state) === 'revoked') throw refusal(record, now);
    refuseHostOwned(record, changes);
    await refuseWhileRotating(surroundings, record, changes);
    const names = { ...namesOf(record), ...parseNames({ ...namesOf(record), ...given(changes) }) };
    const { testEveryMs = record.testEveryMs } = changes;
    const entered = await enteredAfter(surroundings, record, changes);
    const sealed = await reseal(surroundings, record, names.ownerId, entered);
    const settings = entered && settingsAfter(record, entered, now);
    return write(surroundings, { record, claim, sealed }, { ...names, testEveryMs, ...settings, ...sealed.pointers });
  });
}

function namesOf({ name, ownerId, scopeId, tags }: CredentialRecord) {
  return { name, ownerId, scopeId, tags };
}

function given({ name, ownerId, scopeId, tags }: CredentialChanges): object {
  const entries = Object.entries({ name, ownerId, scopeId, tags }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

/** What was typed into a host is found by a hash of just that: changed here, its host would not find it again. */
function refuseHostOwned({ origin }: CredentialRecord, { config, secret }: CredentialChanges): void {
  if (origin !== 'adopted' || (config === undefined && secret === undefined)) return;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The fields config and secret of this credential are kept by the host that it was entered into; change them there.',
  );
}

/** A rotation under way, and what is still to be ended, holds values that are bound to settings, secret and owner as they are. */
async function refuseWhileRotating(
  { records }: Surroundings,
  record: CredentialRecord,
  { config, secret, ownerId = record.ownerId }: CredentialChanges,
): Promise<void> {
  const isMoved = ownerId !== record.ownerId;
  const touches = config !== undefined || secret !== undefined || isMoved;
  const isOpen = openStepOf(record.rotation) !== null;
  const isOwed = isMoved && (await revocationsOf(records, record.id)).length > 0;
  if (!(touches && isOpen) && !isOwed) return;
  throw new TransientError('ERR_ROTATION_IN_PROGRESS', 'The secret of this credential is being replaced or ended.', {
    credentialId: record.id,
  });
}

interface Edit {
  readonly opened: Opened;
  readonly config: JsonObject;
  readonly registered: Secret<JsonObject>;
  readonly isNewSecret: boolean;
  readonly keepsGrant: boolean;
}

/** Settings and secret as they are to be, judged together; `null` when neither is to change. */
async function enteredAfter(
  surroundings: Surroundings,
  record: CredentialRecord,
  changes: CredentialChanges,
): Promise<Edit | null> {
  if (changes.config === undefined && changes.secret === undefined) return null;
  const driver = surroundings.drivers.driver(record.protocol);
  const opened = await openRecord(surroundings, record);
  const config = changes.config === undefined ? record.config : driver.parseConfig(changes.config);
  const isNewSecret = changes.secret !== undefined;
  const registered = Secret.of(driver.parseSecret(isNewSecret ? changes.secret : opened.registered.unwrap(), config));
  const before: Entered = { config: record.config, registered: opened.registered };
  const after: Entered = { config, registered };
  const isSame = canonicalJson(driver.identity(before.config)) === canonicalJson(driver.identity(after.config));
  const keepsGrant = isNewSecret || !isSame ? (driver.keepsGrant?.(before, after) ?? false) : true;
  return { opened, config, registered, isNewSecret, keepsGrant };
}

function settingsAfter(record: CredentialRecord, edit: Edit, now: Date): Partial<CredentialRecord> {
  const { config, isNewSecret, keepsGrant } = edit;
  const secretExpiresAt = isNewSecret ? null : record.secretExpiresAt;
  if (keepsGrant) return { config, secretExpiresAt, ...secondChance(record, now) };
  return {
    ...{ config, secretExpiresAt, state: 'pending.unverified', reason: 'settingsChanged', health: 'unknown' },
    // A generation of its own, so that no attempt of before is taken for the next one.
    ...{ grant: null, generation: record.generation + 1, generationReason: 'settingsChanged' },
    ...{ issuedAt: null, expiresAt: null, refreshable: true, grantExpiresAt: null, idleExpiresAt: null },
    ...{ refreshDueAt: null, testDueAt: null, retryNotBefore: null },
    ...{ failedAttempts: 0, failure: null, notices: [] },
  };
}

interface Resealed {
  readonly pointers: Partial<Pick<CredentialRecord, 'registered' | 'grant' | 'previous'>>;
  readonly written: readonly SecretPointer[];
  readonly replaced: readonly SecretPointer[];
  readonly ownerId: string | null;
}

/** The owner is bound into each envelope: with another owner each value is sealed anew. */
async function reseal(
  surroundings: Surroundings,
  record: CredentialRecord,
  ownerId: string | null,
  edit: Edit | null,
): Promise<Resealed> {
  const { vault, ports } = surroundings;
  const isMoved = ownerId !== record.ownerId;
  const owner = { id: record.id, ownerId };
  const written: SecretPointer[] = [];
  const replaced: SecretPointer[] = [];
  const put = async (from: SecretPointer, generation: number, value: Secret<JsonObject>): Promise<SecretPointer> => {
    const pointer = { field: from.field, generation, attemptId: newId(ports) };
    await vault.put(owner, pointer, value);
    written.push(pointer);
    replaced.push(from);
    return pointer;
  };
  let pointers: Resealed['pointers'] = {};
  if (isMoved || edit?.isNewSecret === true) {
    const value = edit?.registered ?? (await vault.get(record, record.registered));
    const generation = record.registered.generation + (edit?.isNewSecret === true ? 1 : 0);
    pointers = { registered: await put(record.registered, generation, value) };
  }
  if (isMoved && record.grant !== null && edit?.keepsGrant !== false) {
    const value = await vault.get(record, record.grant);
    pointers = { ...pointers, grant: await put(record.grant, record.grant.generation, value) };
  }
  if (isMoved && record.previous !== null) {
    const value = await vault.get(record, record.previous);
    pointers = { ...pointers, previous: await put(record.previous, record.previous.generation, value) };
  }
  return { pointers, written, replaced, ownerId };
}

async function write(
  surroundings: Surroundings,
  { record, claim, sealed }: { record: CredentialRecord; claim: Claim; sealed: Resealed },
  changes: Partial<CredentialRecord>,
): Promise<Updated> {
  const { records, vault, ports } = surroundings;
  const now = ports.clock.now();
  const changed = { ...record, ...changes };
  const replanned = changed.testEveryMs === record.testEveryMs ? changed : { ...changed, testDueAt: null };
  const next = revised(record, { ...changes, ...surroundings.planHealth(replanned, now) }, now);
  const events = eventsOf(['credential.updated'], next, ports);
  const written = await records.compareAndSet({ record: next, expectedRevision: record.revision, claim, events });
  const doomed = written ? sealed.replaced : sealed.written;
  for (const pointer of doomed) await vault.delete(record, pointer);
  if (written) return { events, needsTest: 'config' in changes };
  throw new StorageError('ERR_STORE_CONFLICT', 'The credential was changed meanwhile; nothing was updated.', {
    credentialId: record.id,
  });
}
