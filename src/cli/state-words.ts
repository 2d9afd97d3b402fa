import type { CredentialSummary } from '../client.ts';
import { lifecycleStateOf, type Reason, type StatePath } from '../lifecycle/credential.ts';
import type { CredentialEvent, EventType } from '../lifecycle/events.ts';
import type { Cell } from './columns.ts';
import { formatDuration } from './duration.ts';
import type { Tone } from './style.ts';

interface StateWords {
  readonly text: string;
  readonly tone: Tone;
}

const STATE_WORDS: Readonly<Record<StatePath, StateWords>> = {
  'pending.unverified': { text: 'pending', tone: 'notice' },
  'pending.misconfigured': { text: 'pending: fix setup', tone: 'bad' },
  'pending.authorizing': { text: 'pending: sign in', tone: 'notice' },
  'valid.fresh': { text: 'valid', tone: 'good' },
  'valid.expiringSoon': { text: 'valid (renewing)', tone: 'good' },
  'valid.degraded': { text: 'valid (degraded)', tone: 'notice' },
  'refreshing.claimed': { text: 'refreshing', tone: 'busy' },
  'refreshing.sent': { text: 'refreshing', tone: 'busy' },
  'refreshing.ambiguous': { text: 'refreshing: unsure', tone: 'notice' },
  'expired.retrying': { text: 'expired: retrying', tone: 'notice' },
  'expired.needsUser': { text: 'expired: needs you', tone: 'bad' },
  'revoked.byUser': { text: 'revoked by you', tone: 'quiet' },
  'revoked.upstream': { text: 'revoked upstream', tone: 'bad' },
};

const REASON_WORDS: Readonly<Record<Reason, string>> = {
  registered: 'registered',
  refreshRequested: 'a refresh was asked for',
  refreshDue: 'its refresh was due',
  firstUse: 'it was used for the first time',
  rejectedByApi: 'an API refused it',
  rejectionConfirmed: 'the server says that the token is not valid any more',
  recovering: 'it is recovering from an interruption',
  refreshed: 'it was refreshed',
  transientFailure: 'the last try failed for a passing cause',
  configurationFailure: 'the server refuses its configuration',
  grantRefused: 'the server refuses its grant',
  answerLost: 'the answer to its refresh was lost',
  ambiguousRefresh: 'its refresh was interrupted and the token may be spent',
  storeRolledBack: 'the database was put back to a state before its last refresh',
  expiryReached: 'its token has expired',
  revokedByUser: 'it was revoked here',
  authorized: 'somebody signed in',
  authorizationFailed: 'the sign-in failed',
  authorizationInterrupted: 'the sign-in was interrupted and its code is spent',
  revokedUpstream: 'the other side says that it was revoked there',
  keepAlive: 'its grant would have lapsed from disuse',
  settingsChanged: 'its settings were changed',
};

const EVENT_WORDS: Readonly<Record<EventType, string>> = {
  'credential.registered': 'registered',
  'credential.authorized': 'signed in',
  'credential.refreshed': 'refreshed',
  'credential.expiringSoon': 'expiring soon',
  'credential.degraded': 'degraded',
  'credential.expired': 'expired',
  'credential.needsUser': 'needs you',
  'credential.misconfigured': 'misconfigured',
  'credential.recovered': 'recovered',
  'credential.revoked': 'revoked',
  'credential.rotated': 'rotated',
  'credential.paused': 'paused',
  'credential.resumed': 'resumed',
  'credential.updated': 'updated',
  'credential.deleted': 'deleted',
  'refresh.failed': 'refresh failed',
  'rotation.failed': 'rotation failed',
  'health.failed': 'test failed',
  'health.recovered': 'test passed',
  'key.rotated': 'data key rotated',
};

const PROTOCOL_WORDS: ReadonlyMap<string, string> = new Map([
  ['oauth2', 'OAuth2'],
  ['ldap', 'LDAP'],
  ['basic', 'Basic'],
  ['n8n', 'n8n'],
]);

export function protocolCell(protocol: string): Cell {
  return { text: PROTOCOL_WORDS.get(protocol) ?? protocol };
}

export function stateCell(state: StatePath): Cell & StateWords {
  return STATE_WORDS[state];
}

/** The state of a credential, and that it is paused where scheduled work would have a meaning. */
export function credentialStateCell({ state, paused }: Pick<CredentialSummary, 'state' | 'paused'>): Cell & StateWords {
  const words = STATE_WORDS[state];
  if (!paused || lifecycleStateOf(state) === 'revoked') return words;
  return { text: `paused: ${words.text}`, tone: words.tone === 'good' ? 'quiet' : words.tone };
}

export function reasonText(reason: Reason): string {
  return REASON_WORDS[reason];
}

export function eventText(type: EventType): string {
  return EVENT_WORDS[type];
}

export function expiryCell({ expiresAt, state }: CredentialSummary, now: Date): Cell {
  if (expiresAt === null || lifecycleStateOf(state) === 'revoked') return { text: '–', tone: 'quiet' };
  const leftMs = expiresAt.getTime() - now.getTime();
  if (leftMs <= 0) return { text: 'expired', tone: 'quiet' };
  return { text: formatDuration(leftMs) };
}

export function lastEventCell(event: CredentialEvent | null, now: Date): Cell {
  if (event === null) return { text: '–', tone: 'quiet' };
  const ago = formatDuration(now.getTime() - event.at.getTime());
  return { text: `${eventText(event.type)} ${ago} ago`, short: `${ago} ${eventText(event.type)}`, tone: 'quiet' };
}

/** What happens next, and by whom. */
export function nextActionCell(credential: CredentialSummary, now: Date): Cell {
  switch (credential.state) {
    case 'pending.misconfigured':
      return { text: 'you: correct it', short: 'correct it' };
    case 'pending.authorizing':
      return { text: 'you: sign in', short: 'sign in' };
    case 'expired.needsUser':
    case 'valid.degraded':
      return { text: 'you: authorize again', short: 'authorize' };
    case 'refreshing.claimed':
    case 'refreshing.sent':
      return { text: 'refreshing now', short: 'refreshing' };
    case 'revoked.byUser':
    case 'revoked.upstream':
      return { text: 'none', tone: 'quiet' };
    default:
      return scheduledCell(credential, now);
  }
}

function scheduledCell({ state, dueAt, refreshable, paused }: CredentialSummary, now: Date): Cell {
  if (paused) return { text: 'you: resume it', short: 'resume it' };
  if (dueAt === null) return { text: refreshable ? 'at next use' : 'none', tone: 'quiet' };
  const verb = state === 'valid.fresh' || state === 'valid.expiringSoon' ? 'refresh' : 'try again';
  const leftMs = dueAt.getTime() - now.getTime();
  if (leftMs <= 500) return { text: `${verb} now`, short: 'now' };
  return { text: `${verb} in ${formatDuration(leftMs)}`, short: `in ${formatDuration(leftMs)}` };
}

/** Order in which credentials deserve a look: 0 first. */
export function attentionRank(state: StatePath): number {
  const order: readonly Tone[] = ['bad', 'notice', 'busy', 'good', 'plain'];
  const rank = order.indexOf(STATE_WORDS[state].tone);
  return rank === -1 ? order.length : rank;
}

/** Why a credential is not simply valid, in one sentence with the code of its last failure; `null` when all is well. */
export function troubleText({ state, failure, reason }: CredentialSummary): string | null {
  if (failure === null && (state === 'valid.expiringSoon' || state === 'revoked.byUser')) return null;
  if (state === 'valid.fresh') return null;
  if (state === 'revoked.byUser') return `The other side was not told; revoke it again. ${failureText(failure)}`;
  if (lifecycleStateOf(state) === 'refreshing' && state !== 'refreshing.ambiguous') return null;
  const isAwaited = state === 'pending.unverified' || state === 'pending.authorizing';
  if (failure === null) return isAwaited ? null : `${capitalized(reasonText(reason))}.`;
  return failureText(failure);
}

function failureText(failure: CredentialSummary['failure']): string {
  return failure === null ? '' : `${failure.message} [${failure.code}]`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
