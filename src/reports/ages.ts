import type { CredentialSummary } from '../client.ts';
import { lifecycleStateOf } from '../lifecycle/credential.ts';
import { byInstant, subjectOf, type ReportSubject } from './subject.ts';

export const AGED = ['secret', 'grant', 'credential'] as const;
export type Aged = (typeof AGED)[number];

export interface AgesRow extends ReportSubject {
  /** When the secret in use was put in use by the engine: by its last rotation, or by the registration. */
  readonly secretSinceAt: Date;
  readonly secretAgeMs: number;
  /** When the grant in use was issued; `null` when there is none. */
  readonly grantSinceAt: Date | null;
  readonly grantAgeMs: number | null;
  readonly createdAt: Date;
  readonly credentialAgeMs: number;
  /** Until when the secret must have been replaced; `null` when nothing says so. */
  readonly rotateBy: Date | null;
}

/** How old secrets, grants and credentials are, the oldest of what `sortBy` names first. What was revoked is left out. */
export function agesOf(
  summaries: readonly CredentialSummary[],
  { now, sortBy = 'secret' }: { readonly now: Date; readonly sortBy?: Aged },
): AgesRow[] {
  return summaries
    .filter(({ state }) => lifecycleStateOf(state) !== 'revoked')
    .map((summary) => rowOf(summary, now))
    .sort(byInstant((row) => sinceOf(row, sortBy) ?? now));
}

function rowOf(summary: CredentialSummary, now: Date): AgesRow {
  const { rotation, createdAt, issuedAt: grantSinceAt, rotateBy } = summary;
  const secretSinceAt = rotation.rotatedAt ?? createdAt;
  const age = (since: Date): number => Math.max(0, now.getTime() - since.getTime());
  return {
    ...subjectOf(summary),
    ...{ secretSinceAt, secretAgeMs: age(secretSinceAt) },
    ...{ grantSinceAt, grantAgeMs: grantSinceAt && age(grantSinceAt) },
    ...{ createdAt, credentialAgeMs: age(createdAt), rotateBy },
  };
}

function sinceOf({ secretSinceAt, grantSinceAt, createdAt }: AgesRow, aged: Aged): Date | null {
  if (aged === 'secret') return secretSinceAt;
  return aged === 'grant' ? grantSinceAt : createdAt;
}
