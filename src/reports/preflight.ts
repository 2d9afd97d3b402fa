import type { CredentialSummary } from '../client.ts';
import type { ErrorCode } from '../errors.ts';
import { lifecycleStateOf } from '../lifecycle/credential.ts';
import { renewsItself, rotatesItself } from './ends.ts';
import { actionOfCode } from './subject.ts';

/** Why a credential counts as alive until an instant, or why not. These words reach n8n output unchanged. */
export const PREFLIGHT_REASONS = [
  'tokenOutlasts',
  'refreshesItself',
  'doesNotExpire',
  'notFound',
  'accessDenied',
  'revoked',
  'needsUser',
  'misconfigured',
  'signInAwaited',
  'neverWorked',
  'refreshFailing',
  'refreshInterrupted',
  'degraded',
  'endUnknown',
  'tokenEnds',
  'grantEnds',
  'idleEnds',
  'secretEnds',
  'pausedEnds',
  'testFailing',
  'rotationFailing',
] as const;
export type PreflightReason = (typeof PREFLIGHT_REASONS)[number];

/** Whether a credential will be usable until an instant, as far as it can be known now. */
export interface PreflightJudgement {
  readonly alive: boolean;
  readonly reason: PreflightReason;
  /** When it ends, where that is why. */
  readonly endsAt: Date | null;
  readonly code: ErrorCode | null;
  /** What to do; `null` for what is alive. */
  readonly action: string | null;
}

const REAUTHORIZE = actionOfCode('ERR_CREDENTIAL_NEEDS_USER');
const ACTIONS = {
  notFound: actionOfCode('ERR_CREDENTIAL_NOT_FOUND'),
  accessDenied: actionOfCode('ERR_ACCESS_DENIED'),
  revoked: actionOfCode('ERR_CREDENTIAL_REVOKED'),
  needsUser: REAUTHORIZE,
  misconfigured: actionOfCode('ERR_CREDENTIAL_MISCONFIGURED'),
  signInAwaited: actionOfCode('ERR_CREDENTIAL_NOT_AUTHORIZED'),
  neverWorked: 'Test it once: nobody knows yet whether it works.',
  refreshFailing: 'It is tried again by itself. When it goes on, see whether the endpoint can be reached.',
  refreshInterrupted: 'The engine takes it up again by itself; wait, or sign in again with "credlife authorize".',
  degraded: REAUTHORIZE,
  endUnknown: REAUTHORIZE,
  tokenEnds: 'Nothing can refresh this token. Sign in again with "credlife authorize" before it ends.',
  grantEnds: 'The grant ends however often it is refreshed. Sign in again with "credlife authorize" before that.',
  idleEnds: 'The grant lapses from disuse. Sign in again with "credlife authorize" before that.',
  secretEnds: 'Rotate it, or enter a new secret with "credlife update".',
  pausedEnds: 'Resume it: nothing refreshes it ahead while it is paused.',
  testFailing: 'Test it again: the answer says what is wrong.',
  rotationFailing: 'Its only secret could not be replaced whole. See why with "credlife show", then rotate it again.',
} as const satisfies Partial<Record<PreflightReason, string>>;
type NotAlive = keyof typeof ACTIONS;

/**
 * Judges a credential from its summary alone. What refreshes itself and is healthy counts as alive; everything that a person
 * has to do before `until` makes it not alive. Who is alive until an instant is alive until every earlier one.
 */
export function judgePreflight(summary: CredentialSummary, until: Date): PreflightJudgement {
  return (
    stateObjection(summary) ?? healthObjection(summary) ?? endObjection(summary, until) ?? aliveness(summary, until)
  );
}

/** One that cannot even be looked at, or whose refresh or test failed just now. */
export function notAlive(
  reason: NotAlive,
  facts: { readonly endsAt?: Date; readonly code?: ErrorCode } = {},
): PreflightJudgement {
  const { endsAt = null, code = null } = facts;
  return { alive: false, reason, endsAt, code, action: code === null ? ACTIONS[reason] : actionOfCode(code) };
}

/** Whether a refresh now could make it alive, or prove that it is: its token ends until then, and the engine may renew it. */
export function wantsRefresh(summary: CredentialSummary, until: Date): boolean {
  const { state, expiresAt, failure } = summary;
  const isForEngine = failure === null || failure.class === 'transient' || failure.class === 'clock';
  if (!renewsItself(summary) || !isForEngine) return false;
  if (state === 'pending.misconfigured' || state === 'pending.authorizing') return false;
  if (state === 'pending.unverified' || state === 'expired.retrying') return true;
  return expiresAt !== null && expiresAt <= until;
}

function stateObjection(summary: CredentialSummary): PreflightJudgement | null {
  const { state, failure, generation } = summary;
  const facts = failure === null ? {} : { code: failure.code };
  if (lifecycleStateOf(state) === 'revoked') return notAlive('revoked');
  if (state === 'expired.needsUser') return notAlive('needsUser', facts);
  if (state === 'pending.misconfigured') return notAlive('misconfigured', facts);
  if (state === 'pending.authorizing') return notAlive('signInAwaited', facts);
  if (state === 'pending.unverified' || generation === 0) return notAlive('neverWorked', facts);
  if (state === 'expired.retrying') return notAlive('refreshFailing', facts);
  return null;
}

function healthObjection({ health, rotation }: CredentialSummary): PreflightJudgement | null {
  const isStuck = rotation.state === 'setting' || rotation.state === 'testing' || rotation.state === 'finishing';
  if (isStuck && rotation.failure !== null) return notAlive('rotationFailing', { code: rotation.failure.code });
  return health === 'failing' ? notAlive('testFailing') : null;
}

function endObjection(summary: CredentialSummary, until: Date): PreflightJudgement | null {
  const { state, expiresAt, failure, secretExpiresAt, grantExpiresAt, idleExpiresAt, paused } = summary;
  const facts = failure === null ? {} : { code: failure.code };
  if (secretExpiresAt && secretExpiresAt <= until && !rotatesItself(summary, secretExpiresAt))
    return notAlive('secretEnds', { endsAt: secretExpiresAt });
  if (expiresAt !== null && expiresAt > until) return null;
  if (state === 'valid.degraded')
    return expiresAt === null ? notAlive('endUnknown', facts) : notAlive('degraded', { endsAt: expiresAt, ...facts });
  if (grantExpiresAt && grantExpiresAt <= until) return notAlive('grantEnds', { endsAt: grantExpiresAt });
  const renews = renewsItself(summary);
  if (!renews && idleExpiresAt && idleExpiresAt <= until) return notAlive('idleEnds', { endsAt: idleExpiresAt });
  if (expiresAt === null) return null;
  if (!renews) return notAlive('tokenEnds', { endsAt: expiresAt });
  if (state === 'refreshing.ambiguous') return notAlive('refreshInterrupted', { endsAt: expiresAt, ...facts });
  if (failure !== null) return notAlive('refreshFailing', { endsAt: expiresAt, ...facts });
  return paused ? notAlive('pausedEnds', { endsAt: expiresAt }) : null;
}

function aliveness({ expiresAt }: CredentialSummary, until: Date): PreflightJudgement {
  const facts = { alive: true, endsAt: expiresAt, code: null, action: null } as const;
  if (expiresAt === null) return { ...facts, reason: 'doesNotExpire' };
  return { ...facts, reason: expiresAt > until ? 'tokenOutlasts' : 'refreshesItself' };
}
