import { z } from 'zod/v4';
import { instant } from './in-place.ts';

/** A sign-in of a person, in the record; what completing it takes is sealed apart. */
export interface PendingAuthorization {
  /** Keyed hash of the `state` that names it in the answer, so that nobody can make one up from a record. */
  readonly authorizationId: string;
  readonly kind: 'redirect' | 'device';
  readonly begunAt: Date;
  readonly expiresAt: Date;
  /** When its answer was spent; written before that leaves. */
  readonly sentAt: Date | null;
  /** The generation that it is to produce, as far as was known then. */
  readonly generation: number | null;
  /** When it ended, well or badly: another answer to it is a replay. */
  readonly endedAt: Date | null;
}

export const pendingAuthorizationSchema = z.strictObject({
  authorizationId: z.string(),
  kind: z.enum(['redirect', 'device']),
  begunAt: instant,
  expiresAt: instant,
  sentAt: instant.nullable(),
  generation: z.int().positive().nullable(),
  endedAt: instant.nullable(),
});

/** How long one that has ended or expired is remembered, so that people hear which of the two it was. */
const REMEMBERED_MS = 3_600_000;
const MOST_REMEMBERED = 20;

/** Whether its answer was spent and no outcome is recorded. */
export function isUnderWay({ sentAt, endedAt }: PendingAuthorization): boolean {
  return sentAt !== null && endedAt === null;
}

/** Those that still tell somebody something, the newest first to stay. */
export function remembered(authorizations: readonly PendingAuthorization[], now: Date): PendingAuthorization[] {
  const told = authorizations.filter(
    (each) => isUnderWay(each) || now.getTime() - each.expiresAt.getTime() < REMEMBERED_MS,
  );
  return told.slice(-MOST_REMEMBERED);
}

/** The list with one of it changed. */
export function withChanged(
  authorizations: readonly PendingAuthorization[],
  authorizationId: string,
  changes: Partial<PendingAuthorization>,
): PendingAuthorization[] {
  return authorizations.map((each) => (each.authorizationId === authorizationId ? { ...each, ...changes } : each));
}

interface Pointer {
  readonly field: 'authorization' | 'grant';
  readonly generation: number;
  readonly attemptId: string;
}

/** Where what completing it takes is sealed. */
export function authorizationPointer(authorizationId: string): Pointer & { readonly field: 'authorization' } {
  return { field: 'authorization', generation: 0, attemptId: authorizationId };
}

/** Every sealed value that a sign-in which has not ended may still need. */
export function authorizationPointers(authorizations: readonly PendingAuthorization[]): Pointer[] {
  return authorizations
    .filter(({ endedAt }) => endedAt === null)
    .flatMap(({ authorizationId, generation }) => [
      authorizationPointer(authorizationId),
      ...(generation === null ? [] : [{ field: 'grant', generation, attemptId: authorizationId } as const]),
    ]);
}

/** Whether a sign-in that has not ended may still need this value. */
export function isAwaited(
  authorizations: readonly PendingAuthorization[],
  { attemptId }: { readonly attemptId: string },
  now: Date,
): boolean {
  const own = authorizations.find(({ authorizationId }) => authorizationId === attemptId);
  return own?.endedAt === null && (isUnderWay(own) || now < own.expiresAt);
}
