import fc from 'fast-check';
import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import {
  DEFAULT_HEALTH_RULES,
  dueNotices,
  leadsOf,
  plannedNoticeAt,
  standingNotices,
} from '../../src/lifecycle/health-policy.ts';
import { keepAliveAt } from '../../src/lifecycle/policy.ts';
import { aValidRecord, NOW, secondsAfter } from '../support/record.ts';
import { DAY, ENTRY, HOUR, MINUTE, World } from './world.ts';

const days = (count: number): number => count * 86_400;

describe('the plan of notices', () => {
  it.each<[string, Partial<CredentialRecord>, number | null]>([
    ['a token that is refreshed by itself', { expiresAt: secondsAfter(NOW, 3_600) }, null],
    ['a token that cannot be refreshed', { refreshable: false, expiresAt: secondsAfter(NOW, days(60)) }, days(46)],
    ['a grant that ends', { grantExpiresAt: secondsAfter(NOW, days(90)) }, days(76)],
    ['what was entered', { secretExpiresAt: secondsAfter(NOW, days(365)) }, days(351)],
    ['a short life, at its last quarter', { refreshable: false, expiresAt: secondsAfter(NOW, 3_600) }, 2_700],
    [
      'a grant that lapses and cannot be kept alive',
      { refreshable: false, idleExpiresAt: secondsAfter(NOW, days(90)) },
      null,
    ],
    ['a credential that is revoked', { state: 'revoked.byUser', secretExpiresAt: secondsAfter(NOW, days(9)) }, null],
    ['a grant that is dead already', { state: 'expired.needsUser', grantExpiresAt: secondsAfter(NOW, days(9)) }, null],
  ])('is made for %s', (sentence, overrides, atSeconds) => {
    const record = aValidRecord(3_600, { ...overrides });
    if (sentence.includes('cannot be kept alive')) {
      expect(plannedNoticeAt({ ...record, expiresAt: null }, DEFAULT_HEALTH_RULES)).toEqual(
        secondsAfter(NOW, days(76)),
      );
      return;
    }
    const expected = atSeconds === null ? null : secondsAfter(NOW, atSeconds);
    expect(plannedNoticeAt(record, DEFAULT_HEALTH_RULES)).toEqual(expected);
  });

  it('does not speak of a lapse before its keep-alive is overdue', () => {
    const record = aValidRecord(3_600, { idleExpiresAt: secondsAfter(NOW, days(30)) });
    const at = plannedNoticeAt(record, DEFAULT_HEALTH_RULES);
    expect(at?.getTime()).toBeGreaterThan(keepAliveAt(record)?.getTime() ?? Number.NaN);
    expect(at?.getTime()).toBeLessThan(secondsAfter(NOW, days(30)).getTime());
  });

  it('never tells twice of one threshold, never of a farther one after a nearer, and always before the end', () => {
    const instants = fc.array(fc.integer({ min: 0, max: days(120) }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(instants, fc.integer({ min: 7_200, max: days(120) }), (looks, life) => {
        let record = aValidRecord(life, { refreshable: false });
        const leads: number[] = [];
        for (const look of looks.sort((a, b) => a - b)) {
          const due = dueNotices(record, DEFAULT_HEALTH_RULES, secondsAfter(NOW, look));
          leads.push(...due.map(({ leadMs }) => leadMs));
          record = { ...record, toldEnds: [...record.toldEnds, ...due] };
          const at = plannedNoticeAt(record, DEFAULT_HEALTH_RULES);
          expect(at === null || at > secondsAfter(NOW, look)).toBe(true);
        }
        expect(leads).toEqual([...new Set(leads)].sort((a, b) => b - a));
        expect(leads.every((lead) => lead > 0 && lead <= (life * 1_000) / 4)).toBe(true);
      }),
    );
  });

  it.each<[string, number, readonly number[]]>([
    ['a year', 365 * DAY, [14 * DAY, 3 * DAY, DAY]],
    ['four weeks', 28 * DAY, [7 * DAY, 1.5 * DAY, DAY / 2]],
    ['an hour', HOUR, [15 * MINUTE]],
    ['nothing', 0, [0]],
  ])('scales to the life: %s', (_sentence, lifeMs, leads) => {
    expect(leadsOf(lifeMs, DEFAULT_HEALTH_RULES.noticeLeadsMs)).toEqual(leads);
  });

  it('forgets what was told of an end that moved', () => {
    const told = { end: 'secret', endsAt: secondsAfter(NOW, days(3)), leadMs: DAY } as const;
    const record = aValidRecord(3_600, { secretExpiresAt: told.endsAt, toldEnds: [told] });
    expect(standingNotices(record)).toEqual([told]);
    expect(standingNotices({ ...record, secretExpiresAt: secondsAfter(NOW, days(4)) })).toEqual([]);
  });
});

describe('owners', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.open({ health: { testEveryMs: 0 } });
  });

  afterEach(() => world.close());

  const notices = async () => (await world.events()).filter(({ type }) => type === 'credential.expiringSoon');
  const after = (ms: number): Date => new Date(world.clock.now().getTime() + ms);

  it.each([
    ['tokenEnds', () => ({ refreshable: false, lifeSeconds: 40 * 86_400 })],
    ['grantEnds', () => ({ lifeSeconds: null, grantExpiresAt: after(40 * DAY) })],
    ['secretEnds', () => ({ lifeSeconds: null, secretExpiresAt: after(40 * DAY) })],
  ] as const)('hear of %s at each threshold once, from two processes', async (reason, issued) => {
    world.driver.issued = issued();
    const endsAt = after(40 * DAY);
    await world.engine.register(ENTRY);
    const other = await world.another({ health: { testEveryMs: 0 } });
    await world.pass(39.5 * DAY, 2 * HOUR);
    const told = await notices();
    expect(told.map((event) => event.reason)).toEqual([reason, reason, reason]);
    const leads = told.map(({ at }) => Math.round((endsAt.getTime() - at.getTime()) / HOUR));
    expect(leads.map((lead) => Math.round(lead / 2.4) / 10)).toEqual(
      [10, 2.1, 0.7].map((lead) => expect.closeTo(lead, 0) as number),
    );
    expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(3);
    for (const event of told) expect(event.endsAt).toEqual(endsAt);
    await other.close();
  });

  it('hear once over a restart too', async () => {
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(40 * DAY) };
    await world.engine.register(ENTRY);
    await world.pass(30.5 * DAY, 3 * HOUR);
    expect(await notices()).toHaveLength(1);
    const next = await world.another({ health: { testEveryMs: 0 } });
    await world.pass(2 * DAY, HOUR);
    expect(await notices()).toHaveLength(1);
    await next.close();
  });

  it('hear the nearest threshold only of what was entered late', async () => {
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(2 * HOUR) };
    await world.engine.register(ENTRY);
    await world.pass(1.9 * HOUR, MINUTE);
    expect((await notices()).map(({ reason }) => reason)).toEqual(['secretEnds']);
  });

  it('hear that an end moved away, and of the next end anew', async () => {
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(8 * DAY) };
    const { id } = await world.engine.register(ENTRY);
    await world.pass(7 * DAY, HOUR);
    const before = (await notices()).length;
    expect(before).toBeGreaterThan(0);
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(40 * DAY) };
    await world.engine.refresh(id);
    await world.pass(HOUR, MINUTE);
    expect((await world.types()).at(-1)).toBe('credential.recovered');
    expect((await world.engine.get(id)).toldEnds).toEqual([]);
    await world.pass(39.5 * DAY, 3 * HOUR);
    expect(await notices()).toHaveLength(before + 3);
  });

  it('of a paused credential hear as well', async () => {
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(8 * DAY) };
    const { id } = await world.engine.register(ENTRY);
    await world.engine.pause(id);
    await world.pass(7.9 * DAY, HOUR);
    expect((await notices()).length).toBeGreaterThan(0);
  });

  it('of a revoked credential hear nothing', async () => {
    world.driver.issued = { lifeSeconds: null, secretExpiresAt: after(8 * DAY) };
    const { id } = await world.engine.register(ENTRY);
    await world.engine.revoke(id);
    await world.pass(7.9 * DAY, HOUR);
    expect(await notices()).toEqual([]);
  });
});
