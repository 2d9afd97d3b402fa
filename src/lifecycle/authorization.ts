import {
  ConfigurationError,
  isCredentialError,
  ReauthorizationRequiredError,
  toCredentialError,
  type CredentialError,
} from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { AuthorizationDriver, AuthorizationPrompt, Issued } from '../protocols/protocol.ts';
import { Secret } from '../secret.ts';
import type { Claim } from '../storage/record-store.ts';
import { commitAuthorization, endAuthorization } from './authorization-outcome.ts';
import { lifecycleStateOf, type CredentialRecord } from './credential.ts';
import { driverInput, openRecord, requireRecord, revised, type Opened, type Surroundings } from './effects.ts';
import type { Settled } from './machine.ts';
import {
  authorizationPointer,
  isAwaited,
  isUnderWay,
  remembered,
  withChanged,
  type PendingAuthorization,
} from './pending-authorization.ts';
import { HeldClaim, LEASE_MS } from './held-claim.ts';

export interface BeginOptions {
  /** Where the other side sends the person back to; `null` for a device that has no browser. */
  readonly redirectUri: string | null;
  /** Names the session of the person who began: the answer has to come with the same. */
  readonly session: string | null;
  readonly signal: AbortSignal;
}

export interface Begun {
  readonly authorizationId: string;
  readonly prompt: AuthorizationPrompt;
  readonly expiresAt: Date;
}

/**
 * First half of a sign-in. What the second half takes (verifier, nonce, key) is sealed durably; nothing else of the credential
 * changes, and any number of sign-ins may wait at once.
 */
export async function beginAuthorization(
  surroundings: Surroundings,
  record: CredentialRecord,
  { redirectUri, session, signal }: BeginOptions,
): Promise<Begun> {
  const { records, vault, ports } = surroundings;
  requireNotRevoked(record);
  const opened = await openRecord(surroundings, record);
  const driver = authorizationOf(opened);
  const { prompt, state, begun, expiresAt } = await driver.begin(driverInput(opened, signal), redirectUri);
  const authorizationId = idOf(surroundings, state);
  await vault.put(record, authorizationPointer(authorizationId), Secret.of({ begun: begun.unwrap(), session }));
  const own: PendingAuthorization = {
    ...{ authorizationId, kind: prompt.kind, begunAt: ports.clock.now(), expiresAt },
    ...{ sentAt: null, generation: null, endedAt: null },
  };
  for (;;) {
    const current = await requireRecord(surroundings, record.id);
    requireNotRevoked(current);
    const now = ports.clock.now();
    for (const old of current.authorizations.filter(({ endedAt, expiresAt: end }) => endedAt === null && end <= now))
      if (!isUnderWay(old)) await vault.delete(current, authorizationPointer(old.authorizationId));
    const next = revised(current, { authorizations: [...remembered(current.authorizations, now), own] }, now);
    if (await records.compareAndSet({ record: next, expectedRevision: current.revision })) break;
  }
  return { authorizationId, prompt, expiresAt };
}

export interface Answer {
  /** What came to the redirect URI, or the name of a sign-in on a device. */
  readonly given: URLSearchParams | { readonly authorizationId: string };
  /** The URL that it came to; `null` where the caller gave the parameters alone. */
  readonly arrivedAt: string | null;
  readonly session: string | null;
  readonly signal: AbortSignal;
  readonly onPending: () => void;
}

export interface Completed {
  readonly settled: Settled;
  readonly advice: string | null;
}

/**
 * Second half: the answer becomes the next generation of the credential. Until that is stored, what was there before is used
 * and refreshed as ever; an answer that does not belong here changes nothing.
 *
 * @throws CredentialError `ERR_AUTHORIZATION_*`, `ERR_CREDENTIAL_REVOKED`, or why the other side gave no grant
 */
export async function completeAuthorization(
  surroundings: Surroundings,
  record: CredentialRecord,
  answer: Answer,
): Promise<Completed> {
  requireNotRevoked(record);
  const opened = await openRecord(surroundings, record);
  const pending = findPending(surroundings, opened, answer.given);
  const sealed = await surroundings.vault.find(record, authorizationPointer(pending.authorizationId));
  if (sealed === null) throw replayed(record);
  const { begun, session } = sealed.unwrap();
  if ((session ?? null) !== answer.session || !isJsonObject(begun)) throw unknown(record);
  return new Completion(surroundings, opened, pending).run(Secret.of(begun), answer);
}

/** One answer on its way to being a grant. */
class Completion {
  readonly #surroundings: Surroundings;
  readonly #opened: Opened;
  readonly #pending: PendingAuthorization;
  #claim: Claim | null = null;
  #sent = false;
  #stopRenewal = (): void => undefined;

  constructor(surroundings: Surroundings, opened: Opened, pending: PendingAuthorization) {
    this.#surroundings = surroundings;
    this.#opened = opened;
    this.#pending = pending;
  }

  async run(begun: Secret<JsonObject>, answer: Answer): Promise<Completed> {
    try {
      const issued = await this.#exchange(begun, answer);
      const settled = await commitAuthorization(this.#surroundings, { ...this.#names(), issued }, this.#opened);
      return { settled, advice: issued.advice ?? null };
    } finally {
      this.#stopRenewal();
    }
  }

  async #exchange(begun: Secret<JsonObject>, { given, arrivedAt, signal, onPending }: Answer): Promise<Issued> {
    const parameters = given instanceof URLSearchParams ? given : null;
    const input = {
      ...driverInput(this.#opened, signal),
      begun,
      parameters,
      onPending,
      ...(arrivedAt !== null && { arrivedAt }),
    };
    try {
      return await authorizationOf(this.#opened).complete(input, async () => {
        await this.#beforeSend();
        return () => undefined;
      });
    } catch (error) {
      if (!isCredentialError(error) && !this.#sent) throw error;
      throw await this.#failed(toCredentialError(error));
    }
  }

  /** Durable before the code leaves: it is spent once, by one process, whatever happens to that. */
  async #beforeSend(): Promise<void> {
    if (this.#sent) return;
    const { records, ports, owner } = this.#surroundings;
    const { id } = this.#opened.record;
    // A refresh that has the credential now is not waited for: a code ends soon. Its outcome is dropped by the commit.
    this.#claim = await records.claim(id, owner, LEASE_MS);
    if (this.#claim) this.#stopRenewal = new HeldClaim(this.#surroundings, this.#claim).keep();
    await this.#consume();
    for (;;) {
      const record = await requireRecord(this.#surroundings, id);
      requireNotRevoked(record);
      const now = ports.clock.now();
      const changes = { sentAt: now, generation: record.generation + 1 };
      const authorizations = withChanged(record.authorizations, this.#pending.authorizationId, changes);
      // Where nothing else is due, somebody has to look after it when this process dies.
      const due = record.state === 'pending.authorizing' ? { refreshDueAt: now } : {};
      const next = revised(record, { ...due, authorizations }, now);
      if (await records.compareAndSet({ record: next, expectedRevision: record.revision })) break;
    }
    this.#sent = true;
  }

  async #consume(): Promise<void> {
    const { authorizationId, expiresAt } = this.#pending;
    const first = await this.#surroundings.records.consumeOnce(`authorization:${authorizationId}`, expiresAt);
    if (!first) throw replayed(this.#opened.record);
  }

  /** What the caller is told. An answer that was neither sent nor refused may still come again. */
  async #failed(error: CredentialError): Promise<CredentialError> {
    const isOurs = ['StorageError', 'KeyRingError'].includes(error.name);
    if (isOurs || KEPT.has(error.code)) return this.#released(error);
    if (!this.#sent) {
      const refused = error.code.startsWith('ERR_AUTHORIZATION_') || this.#pending.kind === 'device';
      if (error.name === 'TransientError' || !refused) return this.#released(error);
      await this.#consume();
    }
    const lost = this.#sent && LOST.has(error.code);
    const failure = lost
      ? new ReauthorizationRequiredError(
          'ERR_AUTHORIZATION_INTERRUPTED',
          'The code of the sign-in was sent and no answer came.',
          { credentialId: this.#opened.record.id },
        )
      : error;
    const reason = lost ? 'authorizationInterrupted' : 'authorizationFailed';
    await endAuthorization(this.#surroundings, this.#names(), { failure, reason });
    return failure;
  }

  async #released(error: CredentialError): Promise<CredentialError> {
    if (this.#claim) await this.#surroundings.records.releaseClaim(this.#claim);
    return error;
  }

  #names() {
    const { authorizationId } = this.#pending;
    return { credentialId: this.#opened.record.id, authorizationId, claim: this.#claim };
  }
}

/** Somebody else's answer, or nobody's any more: not for this one to end. */
const KEPT: ReadonlySet<string> = new Set(['ERR_AUTHORIZATION_REPLAYED', 'ERR_CREDENTIAL_REVOKED']);
/** The request left, and whether the code is spent nobody can know. */
const LOST: ReadonlySet<string> = new Set(['ERR_ENDPOINT_TIMEOUT', 'ERR_ENDPOINT_CONNECTION_LOST']);

function findPending(surroundings: Surroundings, opened: Opened, given: Answer['given']): PendingAuthorization {
  const { record } = opened;
  const authorizationId = given instanceof URLSearchParams ? idIn(surroundings, opened, given) : given.authorizationId;
  const pending = record.authorizations.find((each) => each.authorizationId === authorizationId);
  if (!pending) throw unknown(record);
  if (pending.endedAt !== null || pending.sentAt !== null) throw replayed(record);
  if (isAwaited(record.authorizations, { attemptId: pending.authorizationId }, surroundings.ports.clock.now()))
    return pending;
  throw new ReauthorizationRequiredError('ERR_AUTHORIZATION_EXPIRED', 'The sign-in took too long.', {
    credentialId: record.id,
  });
}

function idIn(surroundings: Surroundings, opened: Opened, parameters: URLSearchParams): string {
  const state = authorizationOf(opened).stateOf(parameters);
  if (state === null) throw unknown(opened.record);
  return idOf(surroundings, state);
}

function idOf({ vault }: Surroundings, state: Secret<string>): string {
  return `au_${vault.keyedHash('authorization', state.unwrap()).subarray(0, 16).toString('hex')}`;
}

function authorizationOf({ driver, record }: Opened): AuthorizationDriver {
  if (driver.authorization) return driver.authorization;
  throw new ConfigurationError(
    'ERR_AUTHORIZATION_UNSUPPORTED',
    `Nobody signs in for a credential of the protocol ${driver.protocol}.`,
    { credentialId: record.id },
  );
}

function requireNotRevoked(record: CredentialRecord): void {
  if (lifecycleStateOf(record.state) !== 'revoked') return;
  const credentialId = record.id;
  throw new ReauthorizationRequiredError('ERR_CREDENTIAL_REVOKED', 'This credential was revoked.', { credentialId });
}

function unknown({ id: credentialId }: CredentialRecord): CredentialError {
  const message = 'No sign-in of this credential waits for this answer.';
  return new ReauthorizationRequiredError('ERR_AUTHORIZATION_UNKNOWN', message, { credentialId });
}

function replayed({ id: credentialId }: CredentialRecord): CredentialError {
  const message = 'This answer to a sign-in was used before.';
  return new ReauthorizationRequiredError('ERR_AUTHORIZATION_REPLAYED', message, { credentialId });
}
