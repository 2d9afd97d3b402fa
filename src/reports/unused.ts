import type { CredentialSummary } from '../client.ts';
import { lifecycleStateOf } from '../lifecycle/credential.ts';
import type { CredentialUsage, CredentialUser } from '../storage/ledger.ts';
import { byInstant, isWatched, subjectOf, type ReportSubject } from './subject.ts';

export interface UnusedRow extends ReportSubject {
  /** `null` for never. */
  readonly lastUsedAt: Date | null;
  /** `null` when nobody said who it was, or it was never used. */
  readonly lastUsedBy: CredentialUser | null;
  readonly uses: number;
  readonly createdAt: Date;
  /** For how long nobody has used it: since the last use, or since it exists. */
  readonly unusedMs: number;
  readonly action: string;
}

/**
 * What nobody has used for `forMs`, the longest unused first; what was never used counts from its beginning. What was revoked
 * is left out, for it cannot be used, and so is what is only watched: its uses are not seen here.
 */
export function unusedFor(
  summaries: readonly CredentialSummary[],
  usage: ReadonlyMap<string, CredentialUsage>,
  { now, forMs }: { readonly now: Date; readonly forMs: number },
): UnusedRow[] {
  return summaries
    .filter((summary) => lifecycleStateOf(summary.state) !== 'revoked' && !isWatched(summary))
    .map((summary) => rowOf(summary, usage.get(summary.id), now))
    .filter(({ unusedMs }) => unusedMs >= forMs)
    .sort(byInstant(({ lastUsedAt, createdAt }) => lastUsedAt ?? createdAt));
}

function rowOf(summary: CredentialSummary, used: CredentialUsage | undefined, now: Date): UnusedRow {
  const { createdAt, origin } = summary;
  const { lastUsedAt = null, uses = 0, users = [] } = used ?? {};
  return {
    ...subjectOf(summary),
    ...{ lastUsedAt, lastUsedBy: users[0]?.usedBy ?? null, uses, createdAt },
    unusedMs: Math.max(0, now.getTime() - (lastUsedAt ?? createdAt).getTime()),
    action:
      origin === 'adopted'
        ? 'Delete it in the host if it is still there, then with "credlife delete".'
        : 'When nobody needs it any more, end it with "credlife delete".',
  };
}
