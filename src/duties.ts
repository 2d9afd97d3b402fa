import type { CredentialRecord } from './lifecycle/credential.ts';
import { requireRecord, revised, type Surroundings } from './lifecycle/effects.ts';
import type { Claim } from './storage/record-store.ts';

/** One thing that a due time of a record can call for. */
export interface Duty {
  readonly name: string;
  isDue(record: CredentialRecord, now: Date): boolean;
  /** Ends the claim when it is done; a claim that is left runs out by itself, which paces what fails. */
  run(record: CredentialRecord, claim: Claim): Promise<void>;
}

/**
 * Does the first duty of the table that is due. One claim is one duty: those that are due as well are still due, and the
 * scheduler comes again at once.
 */
export async function runDuty(surroundings: Surroundings, duties: readonly Duty[], claim: Claim): Promise<void> {
  const record = await requireRecord(surroundings, claim.credentialId);
  const now = surroundings.ports.clock.now();
  const duty = duties.find((each) => each.isDue(record, now));
  if (duty) await duty.run(record, claim);
  else await letRest(surroundings, record, claim, now);
}

/** A due time that calls for nothing any more must not wake the scheduler for ever. */
async function letRest({ records }: Surroundings, record: CredentialRecord, claim: Claim, now: Date): Promise<void> {
  if (record.testDueAt === null || record.testDueAt > now) return records.releaseClaim(claim);
  const next = revised(record, { testDueAt: null }, now);
  const change = { record: next, expectedRevision: record.revision, claim, release: claim };
  if (!(await records.compareAndSet(change))) await records.releaseClaim(claim);
}
