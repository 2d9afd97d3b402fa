import { toCredentialError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Issued } from '../protocols/protocol.ts';
import type { Secret } from '../secret.ts';
import type { CredentialId, CredentialRecord, SecretPointer } from './credential.ts';
import type { Surroundings } from './effects.ts';
import { LEASE_MS } from './held-claim.ts';
import { attemptPointer, type Attempt } from './journal.ts';
import type { Settled } from './machine.ts';
import { encodeSealedGrant, parseSealedGrant } from './sealed-grant.ts';
import { commitGrant, sealGrant, type Answered } from './settle.ts';

/** Where answers wait that the store could not take: a file per answer, sealed, named by its attempt. */
export interface Spool {
  put(owner: CredentialRecord, pointer: SecretPointer, value: Secret<JsonObject>): Promise<void>;
  /** The answers that wait for one credential. */
  list(credentialId: CredentialId): Promise<readonly SecretPointer[]>;
  /** `null` when it is not there, or does not open. */
  get(owner: CredentialRecord, pointer: SecretPointer): Promise<Secret<JsonObject> | null>;
  drop(credentialId: CredentialId, pointer: SecretPointer): Promise<void>;
}

/** An answer that is not in the store yet, and may be used meanwhile. */
export interface Unsaved {
  readonly record: CredentialRecord;
  readonly attempt: Attempt;
  readonly issued: Issued;
}

const RETRY_MS = 1_000;
const ATTEMPTS_TO_SEARCH = 50;

/** Answers whose save failed: kept in memory, and in the spool where there is one, until the store has taken them. */
export class UnsavedAnswers {
  readonly #unsaved = new Map<CredentialId, Unsaved>();
  readonly #cancels = new Set<() => void>();
  #closed = false;

  /** What callers may use although the store does not have it. */
  get(id: CredentialId): Unsaved | undefined {
    return this.#unsaved.get(id);
  }

  /** Keeps an answer and saves it as soon as the store takes it. The request that brought it is never made again for that. */
  async keep(surroundings: Surroundings, answered: Answered): Promise<void> {
    const { record, attempt, issued } = answered;
    this.#unsaved.set(record.id, { record, attempt, issued });
    await this.#spool(surroundings, answered);
    this.#later(surroundings, answered);
  }

  /** Ends the retries. What a spool holds is saved by the next engine. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    this.#unsaved.clear();
  }

  async #spool({ spool, ports }: Surroundings, { record, attempt, issued }: Answered): Promise<void> {
    const where = spool === null ? 'in memory only' : 'in the spool';
    try {
      await spool?.put(record, attemptPointer(attempt), encodeSealedGrant(issued));
      ports.logger.error({ credentialId: record.id, attemptId: attempt.attemptId }, `A new grant waits ${where}.`);
    } catch (error) {
      const { code } = toCredentialError(error);
      const fields = { credentialId: record.id, attemptId: attempt.attemptId, code };
      ports.logger.error(fields, 'A new grant could not be spooled: it is in memory only.');
    }
  }

  #later(surroundings: Surroundings, answered: Answered): void {
    if (this.#closed) return;
    const cancel = surroundings.ports.clock.schedule(RETRY_MS, () => {
      this.#cancels.delete(cancel);
      this.#save(surroundings, answered).catch(() => {
        this.#later(surroundings, answered);
      });
    });
    this.#cancels.add(cancel);
  }

  async #save(surroundings: Surroundings, answered: Answered): Promise<void> {
    const { record, attempt, claim } = answered;
    // Nobody is to present the token again while its answer is here.
    await surroundings.records.renewClaim(claim, LEASE_MS);
    await surroundings.vault.put(record, attemptPointer(attempt), encodeSealedGrant(answered.issued));
    await commitGrant(surroundings, answered);
    if (this.#unsaved.get(record.id)?.attempt.attemptId === attempt.attemptId) this.#unsaved.delete(record.id);
    await surroundings.spool?.drop(record.id, attemptPointer(attempt));
    surroundings.ports.logger.info({ credentialId: record.id }, 'A grant that waited for the store is saved.');
  }
}

/** Stores an answer and points the record at it; keeps it when the store does not take it, and says so by the store's error. */
export async function saveGrant(surroundings: Surroundings, answered: Answered): Promise<Settled> {
  try {
    await sealGrant(surroundings, answered.record, answered.attempt, answered.issued);
    return await commitGrant(surroundings, answered);
  } catch (error) {
    await surroundings.unsaved.keep(surroundings, answered);
    throw error;
  }
}

/**
 * The answer for the next generation that waits in the spool, written by this process or by one that died: it is put into the
 * store before anything else is done about the credential. What is older than the record is dropped.
 */
export async function spooledAnswer(
  { spool, vault, records, ports }: Surroundings,
  record: CredentialRecord,
): Promise<{ attempt: Attempt; issued: Issued } | null> {
  for (const pointer of (await spool?.list(record.id)) ?? []) {
    if (pointer.generation <= record.generation) {
      await spool?.drop(record.id, pointer);
      continue;
    }
    const attempts = await records.attempts(record.id, ATTEMPTS_TO_SEARCH);
    const attempt = attempts.find(({ attemptId }) => attemptId === pointer.attemptId);
    const value = attempt === undefined ? null : await spool?.get(record, pointer);
    if (!value || attempt === undefined || pointer.generation !== record.generation + 1) {
      ports.logger.warn(
        { credentialId: record.id, attemptId: pointer.attemptId },
        'A spooled grant does not belong here.',
      );
      continue;
    }
    await vault.put(record, attemptPointer(attempt), value);
    return { attempt, issued: parseSealedGrant(value) };
  }
  return null;
}
