import { agesOf } from '../../src/reports/ages.ts';
import { expiringWithin } from '../../src/reports/expiring.ts';
import { failing } from '../../src/reports/failing.ts';
import { unusedFor } from '../../src/reports/unused.ts';
import type { CredentialRecord, RecordedFailure } from '../../src/lifecycle/credential.ts';
import { IDLE_ROTATION } from '../../src/lifecycle/rotation/progress.ts';
import type { CredentialUsage } from '../../src/storage/ledger.ts';
import { after, aSummary, DAY, HOUR, NOW } from './summary.ts';

type Changes = Partial<CredentialRecord>;

const REFUSED: RecordedFailure = { class: 'permanent', code: 'ERR_OAUTH2_INVALID_GRANT', message: 'Refused.', at: NOW };
const AWAY: RecordedFailure = { class: 'transient', code: 'ERR_ENDPOINT_UNREACHABLE', message: 'Away.', at: NOW };

describe('expiring soon', () => {
  const endsOf = (changes: Changes, withinMs = 7 * DAY) =>
    expiringWithin([aSummary(changes)], { now: NOW, withinMs }).map(({ end, leftMs }) => [end, leftMs]);

  it.each<[string, Changes, [string, number][]]>([
    ['a token that refreshes itself', {}, []],
    ['a token that nothing can refresh', { refreshable: false }, [['token', HOUR]]],
    ['the token of a dead grant', { state: 'valid.degraded', failure: REFUSED }, [['token', HOUR]]],
    ['a grant that ends however often it is refreshed', { grantExpiresAt: after(2 * DAY) }, [['grant', 2 * DAY]]],
    ['an idle end that the engine keeps off', { idleExpiresAt: after(DAY) }, []],
    [
      'an idle end that nobody can keep off',
      { idleExpiresAt: after(DAY), state: 'valid.degraded', expiresAt: null },
      [['idle', DAY]],
    ],
    ['a secret that ends', { secretExpiresAt: after(3 * DAY) }, [['secret', 3 * DAY]]],
    ['a secret that is over', { secretExpiresAt: after(-DAY) }, [['secret', -DAY]]],
    ['what has more than that time', { grantExpiresAt: after(8 * DAY), secretExpiresAt: after(8 * DAY) }, []],
    [
      'what needs the user already',
      { state: 'expired.needsUser', grantExpiresAt: after(-DAY), refreshable: false },
      [],
    ],
    ['what was revoked', { state: 'revoked.byUser', refreshable: false, secretExpiresAt: after(DAY) }, []],
    ['what never had a grant', { generation: 0, grant: null, refreshable: false }, []],
  ])('of %s', (_what, changes, expected) => {
    expect(endsOf(changes)).toEqual(expected);
  });

  const rotating = {
    secretExpiresAt: after(3 * DAY),
    rotationDueAt: after(2 * DAY),
    rotationPolicy: { rotateEveryMs: null, rotationGraceMs: 0, window: null },
  };
  it.each<[string, Changes, number]>([
    ['that is replaced by itself before', rotating, 0],
    ['whose rotation comes too late', { ...rotating, rotationDueAt: after(4 * DAY) }, 1],
    ['whose scheduled work rests', { ...rotating, pausedAt: NOW }, 1],
    [
      'whose rotation failed',
      {
        ...rotating,
        rotation: { ...IDLE_ROTATION, failure: { code: 'ERR_ENDPOINT_UNREACHABLE', message: 'Away.', at: NOW } },
      },
      1,
    ],
  ])('of a secret %s', (_what, changes, rows) => {
    expect(endsOf(changes)).toHaveLength(rows);
  });

  it('names all ends of one credential, the earliest of all first, each with what to do', () => {
    const rows = expiringWithin(
      [
        aSummary({ id: 'b', grantExpiresAt: after(2 * HOUR), secretExpiresAt: after(DAY) }),
        aSummary({ id: 'a', refreshable: false }),
      ],
      { now: NOW, withinMs: DAY },
    );
    expect(rows.map(({ id, end }) => [id, end])).toEqual([
      ['a', 'token'],
      ['b', 'grant'],
      ['b', 'secret'],
    ]);
    expect(rows.every(({ action }) => action.includes('credlife'))).toBe(true);
  });
});

describe('failing', () => {
  it.each<[string, Changes, object[]]>([
    ['all is well', {}, []],
    ['it is inside its margin', { state: 'valid.expiringSoon' }, []],
    ['its owner revoked it', { state: 'revoked.byUser', health: 'failing', failure: REFUSED }, []],
    ['it was never tried', { state: 'pending.unverified', health: 'unknown' }, []],
    [
      'it needs the user',
      { state: 'expired.needsUser', stateChangedAt: after(-DAY), failure: REFUSED },
      [{ problem: 'needsUser', sinceAt: after(-DAY), code: 'ERR_OAUTH2_INVALID_GRANT', message: 'Refused.' }],
    ],
    ['it is misconfigured', { state: 'pending.misconfigured' }, [{ problem: 'misconfigured', code: null }]],
    ['nobody has signed in', { state: 'pending.authorizing' }, [{ problem: 'signInAwaited' }]],
    ['its grant is dead', { state: 'valid.degraded', failure: REFUSED }, [{ problem: 'degraded' }]],
    [
      'its refresh is tried again',
      { state: 'valid.expiringSoon', stateChangedAt: after(-DAY), failure: AWAY },
      [{ problem: 'refreshFailing', sinceAt: NOW, code: 'ERR_ENDPOINT_UNREACHABLE' }],
    ],
    ['it has expired', { state: 'expired.retrying', failure: AWAY }, [{ problem: 'refreshFailing' }]],
    ['a refresh was interrupted', { state: 'refreshing.ambiguous' }, [{ problem: 'refreshInterrupted' }]],
    ['the other side ended it', { state: 'revoked.upstream' }, [{ problem: 'revokedUpstream' }]],
    [
      'its test fails',
      { health: 'failing', healthChangedAt: after(-HOUR) },
      [{ problem: 'testFailing', sinceAt: after(-HOUR) }],
    ],
    [
      'two things are wrong',
      { state: 'expired.needsUser', health: 'failing', healthChangedAt: null, failure: REFUSED },
      [{ problem: 'testFailing', sinceAt: null }, { problem: 'needsUser' }],
    ],
    [
      'its rotation failed',
      {
        rotation: {
          ...IDLE_ROTATION,
          state: 'failed',
          failure: { code: 'ERR_ROTATION_CANDIDATES_EXHAUSTED', message: 'No.', at: NOW },
        },
      },
      [{ problem: 'rotationFailing', sinceAt: NOW, code: 'ERR_ROTATION_CANDIDATES_EXHAUSTED' }],
    ],
  ])('when %s', (_what, changes, expected) => {
    const rows = failing([aSummary(changes)]);
    expect(rows).toMatchObject(expected);
    expect(rows).toHaveLength(expected.length);
    expect(rows.every(({ action }) => action.length > 20)).toBe(true);
  });
});

describe('unused', () => {
  const used = (credentialId: string, lastUsedAt: Date): [string, CredentialUsage] => [
    credentialId,
    { credentialId, uses: 3, lastUsedAt, users: [{ usedBy: { kind: 'n8n', id: 'w' }, uses: 3, lastUsedAt }] },
  ];
  const summaries = [
    aSummary({ id: 'recent', createdAt: after(-90 * DAY) }),
    aSummary({ id: 'old', createdAt: after(-90 * DAY) }),
    aSummary({ id: 'never', createdAt: after(-60 * DAY), origin: 'adopted' }),
    aSummary({ id: 'new', createdAt: after(-DAY) }),
    aSummary({ id: 'revoked', createdAt: after(-90 * DAY), state: 'revoked.byUser' }),
    aSummary({ id: 'watched', createdAt: after(-90 * DAY), protocol: 'n8n', origin: 'adopted' }),
  ];
  const usage = new Map([
    used('recent', after(-DAY)),
    used('old', after(-31 * DAY)),
    used('revoked', after(-80 * DAY)),
  ]);

  it('names what nobody used for so long, and what nobody ever used since it exists', () => {
    const rows = unusedFor(summaries, usage, { now: NOW, forMs: 30 * DAY });
    expect(rows).toMatchObject([
      { id: 'never', lastUsedAt: null, lastUsedBy: null, uses: 0, unusedMs: 60 * DAY },
      { id: 'old', lastUsedAt: after(-31 * DAY), lastUsedBy: { kind: 'n8n', id: 'w' }, uses: 3 },
    ]);
    expect(rows[0]?.action).toContain('in the host');
  });

  it.each([
    [31 * DAY, ['never', 'old']],
    [31 * DAY + 1, ['never']],
    [0, ['never', 'old', 'new', 'recent']],
    [365 * DAY, []],
  ])('for %d ms', (forMs, expected) => {
    expect(unusedFor(summaries, usage, { now: NOW, forMs }).map(({ id }) => id)).toEqual(expected);
  });
});

describe('ages', () => {
  const rotated = { ...IDLE_ROTATION, rotatedAt: after(-DAY) };
  const summaries = [
    aSummary({ id: 'rotated', createdAt: after(-90 * DAY), issuedAt: after(-HOUR), rotation: rotated }),
    aSummary({ id: 'first', createdAt: after(-30 * DAY), issuedAt: after(-2 * HOUR) }),
    aSummary({ id: 'bare', createdAt: after(-10 * DAY), issuedAt: null, grant: null }),
    aSummary({ id: 'revoked', createdAt: after(-99 * DAY), state: 'revoked.upstream' }),
  ];

  it.each([
    ['secret', ['first', 'bare', 'rotated']],
    ['grant', ['first', 'rotated', 'bare']],
    ['credential', ['rotated', 'first', 'bare']],
  ] as const)('of the %s, the oldest first', (sortBy, expected) => {
    expect(agesOf(summaries, { now: NOW, sortBy }).map(({ id }) => id)).toEqual(expected);
  });

  it('are those of secret, grant and credential', () => {
    expect(agesOf(summaries, { now: NOW })[2]).toMatchObject({
      secretAgeMs: DAY,
      grantAgeMs: HOUR,
      credentialAgeMs: 90 * DAY,
    });
    expect(agesOf(summaries, { now: NOW })[1]).toMatchObject({ grantSinceAt: null, grantAgeMs: null });
  });
});
