import type { CredentialSummary } from '../client.ts';
import type { ErrorCode } from '../errors.ts';
import type { StatePath } from '../lifecycle/credential.ts';
import { actionOfCode, byInstant, subjectOf, type ReportSubject } from './subject.ts';

/** What can be wrong with a credential. One may have several of them. */
export const PROBLEMS = [
  'needsUser',
  'misconfigured',
  'signInAwaited',
  'degraded',
  'refreshFailing',
  'refreshInterrupted',
  'revokedUpstream',
  'testFailing',
  'rotationFailing',
] as const;
export type Problem = (typeof PROBLEMS)[number];

export interface FailingRow extends ReportSubject {
  readonly problem: Problem;
  /** Since when; of what is tried again and again, its last failure. `null` when that was not written down. */
  readonly sinceAt: Date | null;
  /** The last refresh that went well; `null` for never. */
  readonly lastRefreshedAt: Date | null;
  readonly code: ErrorCode | null;
  readonly message: string;
  readonly action: string;
}

interface Told {
  readonly problem: Problem;
  readonly message: string;
  readonly action: string;
}

const OF_STATE: Readonly<Partial<Record<StatePath, Told>>> = {
  'expired.needsUser': {
    problem: 'needsUser',
    message: 'It has expired, and no retry can bring it back.',
    action: actionOfCode('ERR_CREDENTIAL_NEEDS_USER'),
  },
  'pending.misconfigured': {
    problem: 'misconfigured',
    message: 'The other side refuses its configuration or its secret.',
    action: actionOfCode('ERR_CREDENTIAL_MISCONFIGURED'),
  },
  'pending.authorizing': {
    problem: 'signInAwaited',
    message: 'Nobody has signed in for it yet.',
    action: actionOfCode('ERR_CREDENTIAL_NOT_AUTHORIZED'),
  },
  'valid.degraded': {
    problem: 'degraded',
    message: 'It can be used until its token ends, but the grant behind it is dead.',
    action: actionOfCode('ERR_CREDENTIAL_NEEDS_USER'),
  },
  'expired.retrying': {
    problem: 'refreshFailing',
    message: 'It has expired, and its refresh fails for a passing cause.',
    action: 'It is tried again by itself. When it goes on, see whether the endpoint can be reached.',
  },
  'refreshing.ambiguous': {
    problem: 'refreshInterrupted',
    message: 'A refresh was interrupted, and its token may be spent.',
    action: 'The engine takes it up again by itself. When it stays so, sign in again with "credlife authorize".',
  },
  'revoked.upstream': {
    problem: 'revokedUpstream',
    message: 'The other side ended it.',
    action: actionOfCode('ERR_CREDENTIAL_REVOKED_UPSTREAM'),
  },
};
const REFRESH: Told = {
  problem: 'refreshFailing',
  message: 'Its last refresh failed.',
  action: 'It is tried again by itself. When it goes on, see whether the endpoint can be reached.',
};
const PENDING: Told = { ...REFRESH, message: 'It never worked: its first grant could not be had.' };

/** Everything that is wrong now, the oldest trouble first; one row for each trouble of a credential. */
export function failing(summaries: readonly CredentialSummary[]): FailingRow[] {
  return summaries.flatMap(troublesOf).sort(byInstant(({ sinceAt }) => sinceAt ?? new Date(0)));
}

function troublesOf(summary: CredentialSummary): FailingRow[] {
  return [...lifecycleTrouble(summary), ...testTrouble(summary), ...rotationTrouble(summary)];
}

function lifecycleTrouble(summary: CredentialSummary): FailingRow[] {
  const { state, failure, stateChangedAt, lastRefreshedAt } = summary;
  if (state === 'revoked.byUser') return [];
  const told = OF_STATE[state] ?? (failure === null ? null : state === 'pending.unverified' ? PENDING : REFRESH);
  if (told === null) return [];
  const { code = null, message = told.message } = failure ?? {};
  const action = failure === null ? told.action : actionOfCode(failure.code);
  // Each try changes the state and back: only what is not tried again keeps the instant at which it became so.
  const isTriedAgain = told.problem === 'refreshFailing' || told.problem === 'refreshInterrupted';
  const sinceAt = isTriedAgain && failure ? failure.at : stateChangedAt;
  return [{ ...subjectOf(summary), ...{ problem: told.problem, sinceAt, lastRefreshedAt, code, message, action } }];
}

/** What is over has no tests; that one of before failed helps nobody. */
function testTrouble(summary: CredentialSummary): FailingRow[] {
  const { health, healthChangedAt: sinceAt, lastRefreshedAt, state } = summary;
  if (health !== 'failing' || state === 'revoked.byUser' || state === 'revoked.upstream') return [];
  return [
    {
      ...subjectOf(summary),
      ...{ problem: 'testFailing', sinceAt, lastRefreshedAt, code: null, message: 'Its last test failed.' },
      action: 'Test it again: the answer says what is wrong.',
    },
  ];
}

function rotationTrouble(summary: CredentialSummary): FailingRow[] {
  const { rotation, lastRefreshedAt } = summary;
  const { failure } = rotation;
  if (failure === null) return [];
  const { at: sinceAt, code, message } = failure;
  return [
    {
      ...subjectOf(summary),
      problem: 'rotationFailing',
      ...{ sinceAt, lastRefreshedAt, code, message },
      action: actionOfCode(code),
    },
  ];
}
