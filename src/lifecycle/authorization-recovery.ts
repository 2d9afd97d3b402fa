import { ReauthorizationRequiredError } from '../errors.ts';
import type { Claim } from '../storage/record-store.ts';
import { commitAuthorization, endAuthorization } from './authorization-outcome.ts';
import type { CredentialRecord } from './credential.ts';
import { openRecord, requireRecord, type Surroundings } from './effects.ts';
import { attemptPointer } from './journal.ts';
import { isUnderWay } from './pending-authorization.ts';
import { parseSealedGrant } from './sealed-grant.ts';

/**
 * What a process that died in a sign-in has left: an answer that was sealed is only pointed at; where there is none, the code
 * is spent and its answer is lost, and that is said. Whoever calls this holds the claim, so nobody is at it.
 */
export async function recoverAuthorizations(
  surroundings: Surroundings,
  seen: CredentialRecord,
  held: Claim,
): Promise<CredentialRecord> {
  let record = seen;
  const interrupted = seen.authorizations.filter(isUnderWay);
  for (const { authorizationId, generation } of interrupted) {
    const ended = { credentialId: record.id, authorizationId, claim: null };
    const pointer = attemptPointer({ generation: generation ?? record.generation + 1, attemptId: authorizationId });
    const answer = await surroundings.vault.find(record, pointer);
    if (answer === null) {
      const failure = new ReauthorizationRequiredError(
        'ERR_AUTHORIZATION_INTERRUPTED',
        'The sign-in was interrupted after its code was sent.',
      );
      record = await endAuthorization(surroundings, ended, { failure, reason: 'authorizationInterrupted' });
    } else {
      const opened = await openRecord(surroundings, record);
      await commitAuthorization(surroundings, { ...ended, issued: parseSealedGrant(answer) }, opened);
      record = await requireRecord(surroundings, record.id);
    }
  }
  // It took its time, and the claim is still needed.
  if (interrupted.length > 0) await surroundings.records.renewClaim(held, RENEWED_MS);
  return record;
}

const RENEWED_MS = 4_000;
