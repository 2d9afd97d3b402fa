import { TransientError } from '../errors.ts';
import type { CredentialId, CredentialRecord } from '../lifecycle/credential.ts';
import { requireRecord, wait, type Surroundings } from '../lifecycle/effects.ts';
import type { Claim } from '../storage/record-store.ts';

const LEASE_MS = 4_000;
const POLL_MS = 50;
const LONGEST_WAIT_MS = 30_000;

/**
 * Works on a record while no refresh of it is in flight anywhere: one that is has to end first, and none begins meanwhile. The
 * work is short, so that its claim needs no renewal; its writes carry the claim and are refused when it was lost.
 *
 * @throws TransientError `ERR_REFRESH_IN_PROGRESS` when a refresh does not end within 30 s
 */
export async function whileClaimed<T>(
  surroundings: Surroundings,
  id: CredentialId,
  work: (record: CredentialRecord, claim: Claim) => Promise<T>,
): Promise<T> {
  const { records, owner, ports } = surroundings;
  const startedMs = ports.clock.hostTime().ms;
  for (;;) {
    await requireRecord(surroundings, id);
    const claim = await records.claim(id, owner, LEASE_MS);
    if (claim !== null) {
      try {
        // A row read before the claim is stale.
        return await work(await requireRecord(surroundings, id), claim);
      } finally {
        await records.releaseClaim(claim);
      }
    }
    if (ports.clock.hostTime().ms - startedMs > LONGEST_WAIT_MS) {
      const message = 'A refresh of this credential is still under way; nothing was changed.';
      throw new TransientError('ERR_REFRESH_IN_PROGRESS', message, { credentialId: id });
    }
    await wait(ports, POLL_MS, new AbortController().signal);
  }
}
