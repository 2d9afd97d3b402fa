import type { CredentialSummary } from '../client.ts';
import type { End } from '../lifecycle/credential.ts';
import { comingEnds } from './ends.ts';
import { byInstant, subjectOf, type ReportSubject } from './subject.ts';

export interface ExpiringRow extends ReportSubject {
  readonly end: End;
  readonly endsAt: Date;
  /** Milliseconds until then; negative when it is over. */
  readonly leftMs: number;
  readonly action: string;
}

/** What ends until `withinMs` from now and is put off by nobody but a person, the earliest first; one row for each end. */
export function expiringWithin(
  summaries: readonly CredentialSummary[],
  { now, withinMs }: { readonly now: Date; readonly withinMs: number },
): ExpiringRow[] {
  const untilMs = now.getTime() + withinMs;
  return summaries
    .flatMap((summary) =>
      comingEnds(summary)
        .filter(({ endsAt }) => endsAt.getTime() <= untilMs)
        .map(({ end, endsAt }) => ({
          ...subjectOf(summary),
          ...{ end, endsAt, leftMs: endsAt.getTime() - now.getTime() },
          action: actionOf(end, summary),
        })),
    )
    .sort(byInstant(({ endsAt }) => endsAt));
}

function actionOf(end: End, { rotation, origin }: CredentialSummary): string {
  switch (end) {
    case 'token':
      return 'Nothing can refresh this token. Sign in again with "credlife authorize", or give it a new grant with "credlife update".';
    case 'grant':
      return 'The grant ends however often it is refreshed. Sign in again with "credlife authorize" before that.';
    case 'idle':
      return 'The grant lapses from disuse and cannot be kept alive. Sign in again with "credlife authorize" before that.';
    case 'secret':
      if (rotation.failure !== null) return 'Its rotation failed. See why with "credlife show", then rotate it again.';
      return origin === 'adopted'
        ? 'Replace the secret at the other side, and enter the new one in the host.'
        : 'Rotate it, or enter a new secret with "credlife update".';
  }
}
