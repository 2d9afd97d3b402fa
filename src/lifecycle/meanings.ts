import type { Reason, StatePath } from './credential.ts';

export interface StateMeaning {
  readonly meaning: string;
  /** Which reasons a record in this state can have. */
  readonly reasons: readonly Reason[];
}

const WHY_REFRESHING: readonly Reason[] = [
  'refreshRequested',
  'refreshDue',
  'firstUse',
  'expiryReached',
  'rejectedByApi',
  'rejectionConfirmed',
  'recovering',
  'keepAlive',
];

/** What each state tells a person, and why a credential is in it. */
export const STATE_MEANINGS: Readonly<Record<StatePath, StateMeaning>> = {
  'pending.unverified': {
    meaning: 'No grant yet: nobody has used it, or the first try failed for a passing cause.',
    reasons: ['registered', 'transientFailure', 'settingsChanged'],
  },
  'pending.misconfigured': {
    meaning: 'The other side refuses client or request: the owner must correct the settings.',
    reasons: ['configurationFailure'],
  },
  'pending.authorizing': {
    meaning: 'A person has to sign in first.',
    reasons: ['registered', 'authorizationFailed', 'authorizationInterrupted'],
  },
  'valid.fresh': { meaning: 'The token lives; its refresh has a due time.', reasons: ['refreshed', 'authorized'] },
  'valid.expiringSoon': {
    meaning: 'The token lives, but its refresh failed for a passing cause and is tried again.',
    reasons: ['transientFailure'],
  },
  'valid.degraded': {
    meaning: 'The token lives, but the grant behind it is dead or refused: usable until the token ends.',
    reasons: ['grantRefused', 'configurationFailure', 'ambiguousRefresh', 'storeRolledBack'],
  },
  'refreshing.claimed': {
    meaning: 'One holder has the claim and has written its intent down; nothing has left.',
    reasons: WHY_REFRESHING,
  },
  'refreshing.sent': {
    meaning: 'The request may have left: the only instant at which a token can be lost.',
    reasons: WHY_REFRESHING,
  },
  'refreshing.ambiguous': {
    meaning:
      'A request left and no answer was stored: the token may be spent, and is presented again when that is safe.',
    reasons: ['answerLost'],
  },
  'expired.retrying': {
    meaning: 'The token ended; its refresh is tried again.',
    reasons: ['transientFailure'],
  },
  'expired.needsUser': {
    meaning: 'Only a person can bring it back.',
    reasons: ['grantRefused', 'ambiguousRefresh', 'storeRolledBack', 'expiryReached', 'configurationFailure'],
  },
  'revoked.byUser': { meaning: 'Its owner ended it here; it stays so.', reasons: ['revokedByUser'] },
  'revoked.upstream': {
    meaning: 'The other side said that it ended it.',
    reasons: ['revokedUpstream'],
  },
};
