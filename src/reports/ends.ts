import type { CredentialSummary } from '../client.ts';
import { lifecycleStateOf, type End } from '../lifecycle/credential.ts';

/** Something of a credential that ends and that nobody but a person puts off. */
export interface ComingEnd {
  readonly end: End;
  readonly endsAt: Date;
}

/** Whether the engine may still get a new grant by itself. */
export function renewsItself({ state, refreshable }: Pick<CredentialSummary, 'state' | 'refreshable'>): boolean {
  const isOver = state === 'valid.degraded' || state === 'expired.needsUser' || lifecycleStateOf(state) === 'revoked';
  return refreshable && !isOver;
}

/** Whether the engine replaces the secret before `endsAt`, as far as it can be known now. */
export function rotatesItself({ rotation, paused }: CredentialSummary, endsAt: Date): boolean {
  return !paused && rotation.failure === null && rotation.dueAt !== null && rotation.dueAt < endsAt;
}

/**
 * The ends of a credential that the engine does not put off: a token that cannot be refreshed, a grant that ends however often
 * it is refreshed, one that lapses from disuse and cannot be kept alive, a secret that nothing replaces.
 */
export function comingEnds(summary: CredentialSummary): ComingEnd[] {
  const { expiresAt, grantExpiresAt, idleExpiresAt, rotateBy, state, generation } = summary;
  if (lifecycleStateOf(state) === 'revoked') return [];
  const ends: ComingEnd[] = [];
  // Where the grant is known to be dead its ends are over, and the report of failures tells it.
  if (generation > 0 && state !== 'expired.needsUser') {
    if (expiresAt && !renewsItself(summary)) ends.push({ end: 'token', endsAt: expiresAt });
    if (grantExpiresAt) ends.push({ end: 'grant', endsAt: grantExpiresAt });
    if (idleExpiresAt && !renewsItself(summary)) ends.push({ end: 'idle', endsAt: idleExpiresAt });
  }
  if (rotateBy && !rotatesItself(summary, rotateBy)) ends.push({ end: 'secret', endsAt: rotateBy });
  return ends;
}
