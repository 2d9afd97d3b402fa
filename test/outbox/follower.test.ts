import { beforeEach, describe, expect, it } from '@jest/globals';
import { AccessError, StorageError } from '../../src/errors.ts';
import type { EventBatch, EventFollower } from '../../src/outbox/follower.ts';
import type { FollowOptions } from '../../src/outbox/outbox.ts';
import { aRecord } from '../support/record.ts';
import { ids, OutboxWorld, settled } from './outbox-world.ts';

const DAY_MS = 86_400_000;

let world: OutboxWorld;
const never = new AbortController().signal;

beforeEach(() => {
  world = new OutboxWorld();
});

const follow = (options: FollowOptions = {}, name: string | null = 'one'): Promise<EventFollower> =>
  world.outbox.follow(name, options);

/** The follower of the same name in a process after this one. */
const followAgain = (options: FollowOptions = {}): Promise<EventFollower> => world.restarted().follow('one', options);

/** All that is there now, without waiting for more. */
async function waiting(follower: EventFollower): Promise<EventBatch[]> {
  const stop = new AbortController();
  const batches: EventBatch[] = [];
  const reading = (async () => {
    for (;;) batches.push(await follower.next(stop.signal));
  })().catch(() => undefined);
  await settled();
  await world.clock.advance(1_000);
  await settled();
  stop.abort();
  await reading;
  return batches;
}

const waitingIds = async (follower: EventFollower): Promise<string[]> => (await waiting(follower)).flatMap(ids);

describe('a follower of the events', () => {
  it('begins with what happens from now on', async () => {
    await world.written(3);
    const follower = await follow();
    const later = await world.written(2);
    expect(await waitingIds(follower)).toEqual(later);
  });

  it('begins with the oldest kept event when told so', async () => {
    const all = await world.written(120);
    expect(await waitingIds(await follow({ from: 'oldest' }))).toEqual(all);
  });

  it('is remembered from the first moment, not from its first event', async () => {
    await follow();
    const meanwhile = await world.written(2);
    expect(await waitingIds(await followAgain())).toEqual(meanwhile);
  });

  it('gives nothing again that was done', async () => {
    const follower = await follow();
    await world.written(70);
    for (const batch of await waiting(follower)) await follower.done(batch);
    const later = await world.written(1);
    expect(await waitingIds(await followAgain())).toEqual(later);
  });

  it('gives again, with the same ids, what was not done when its process died', async () => {
    const follower = await follow();
    await world.written(50);
    const [first] = await waiting(follower);
    if (first) await follower.done(first);
    const undone = await world.written(2);
    expect(await waitingIds(follower)).toEqual(undone);
    expect(await waitingIds(await followAgain())).toEqual(undone);
  });

  it('gives nothing twice in one process, done or not', async () => {
    const follower = await follow();
    await world.written(3);
    expect(await waitingIds(follower)).toHaveLength(3);
    expect(await waitingIds(follower)).toEqual([]);
  });

  it('remembers later batches that were done before an earlier one', async () => {
    const follower = await follow();
    const first = await world.written(1);
    const [early] = await waiting(follower);
    await world.written(1);
    const [late] = await waiting(follower);
    if (late) await follower.done(late);
    const next = await followAgain();
    expect(await waitingIds(next)).toEqual(first);
    if (early) await follower.done(early);
    expect(await waitingIds(await followAgain())).toEqual([]);
  });

  it('does not set back what another process of its name has done', async () => {
    const [follower, twin] = [await follow(), await followAgain()];
    await world.written(1);
    const [mine] = await waiting(follower);
    const [theirs] = await waiting(twin);
    await world.written(3);
    const [more] = await waiting(twin);
    if (theirs) await twin.done(theirs);
    if (more) await twin.done(more);
    if (mine) await follower.done(mine);
    expect(await waitingIds(await followAgain())).toEqual([]);
  });

  it('has a place of its own for each name', async () => {
    const [follower, other] = [await follow(), await follow({}, 'other')];
    const all = await world.written(2);
    for (const batch of await waiting(follower)) await follower.done(batch);
    expect(await waitingIds(other)).toEqual(all);
  });

  it('leaves no place behind without a name', async () => {
    const follower = await follow({}, null);
    await world.written(1);
    for (const batch of await waiting(follower)) await follower.done(batch);
    await follower.close();
    expect(await world.records.getFollower('')).toBeNull();
  });

  it.each(['', 'x'.repeat(513), 'with\0nul'])('is refused the name %j', async (name) => {
    await expect(follow({}, name)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  });

  it('is forgotten when it has not come back for 400 days, and not a day before', async () => {
    await follow();
    await world.clock.advance(399 * DAY_MS);
    await follow({}, 'other');
    expect(await world.records.getFollower('one')).not.toBeNull();
    await world.clock.advance(2 * DAY_MS);
    await follow({}, 'other');
    expect(await world.records.getFollower('one')).toBeNull();
    expect(await world.records.getFollower('other')).not.toBeNull();
  });

  it('is not forgotten while it waits for something that does not happen', async () => {
    const follower = await follow();
    await world.clock.advance(3 * DAY_MS);
    expect(await waiting(follower)).toEqual([]);
    const { forgetAt } = (await world.records.getFollower('one')) ?? {};
    expect((forgetAt?.getTime() ?? 0) - world.clock.now().getTime()).toBeGreaterThan(399 * DAY_MS);
  });
});

describe('what a follower wants', () => {
  it.each<[string, FollowOptions['filter'], object]>([
    ['types', { types: ['credential.recovered'] }, { type: 'credential.recovered' }],
    ['owner', { ownerId: 'bob' }, { ownerId: 'bob' }],
    ['protocol', { protocol: 'ldap' }, { protocol: 'ldap' }],
    ['state', { state: 'valid' }, { state: 'valid.fresh' }],
    ['tags', { tags: ['prod', 'billing'] }, { credentialId: 'cr_2' }],
  ])('is chosen by %s', async (_by, filter, matching) => {
    await world.records.insert(aRecord({ id: 'cr_1', name: 'One', tags: ['prod'] }), []);
    await world.records.insert(aRecord({ id: 'cr_2', name: 'Two', tags: ['billing', 'eu', 'prod'] }), []);
    const follower = await follow(filter ? { filter } : {});
    await world.written(60);
    const wanted = await world.written(1, matching);
    await world.written(60);
    expect(await waitingIds(follower)).toEqual(wanted);
  });

  it('is no event of the whole store, unless nothing but types is asked for', async () => {
    const ofStore = { type: 'key.rotated', credentialId: null, ownerId: null, protocol: null, state: null } as const;
    const [all, narrow] = [await follow(), await follow({ filter: { protocol: 'oauth2' } }, 'narrow')];
    const rotated = await world.written(1, ofStore);
    expect(await waitingIds(all)).toEqual(rotated);
    expect(await waitingIds(narrow)).toEqual([]);
  });

  it('comes with the name and the tags that its credential has now, or with none', async () => {
    await world.records.insert(aRecord({ id: 'cr_1', name: 'Billing', tags: ['prod'] }), []);
    const follower = await follow();
    await world.written(1);
    await world.written(1, { credentialId: 'cr_gone' });
    const [batch] = await waiting(follower);
    expect(batch?.events).toMatchObject([
      { name: 'Billing', tags: ['prod'] },
      { name: null, tags: [] },
    ]);
  });

  it.each([{ types: ['credential.exploded'] }, { owner: 'alice' }, { tags: 'prod' }, { state: 'valid.fresh' }])(
    'cannot be %j',
    async (filter) => {
      const input: object = { filter };
      await expect(follow(input)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
      expect(await world.records.getFollower('one')).toBeNull();
    },
  );

  it('is looked at once, and its place is stored, when nothing of it is wanted', async () => {
    const follower = await follow({ filter: { ownerId: 'nobody' } });
    await world.written(120);
    expect(await waiting(follower)).toEqual([]);
    expect((await world.records.getFollower('one'))?.cursor).toBe(100);
    await follower.close();
    expect((await world.records.getFollower('one'))?.cursor).toBe(120);
  });

  it('is, for a key of one credential, that one alone, and nothing once the key is refused', async () => {
    let reach = async (): Promise<string | null> => 'cr_2';
    const follower = await world.outbox.follow('one', {}, () => reach());
    await world.written(2);
    const own = await world.written(1, { credentialId: 'cr_2' });
    await world.written(1, { type: 'key.rotated', credentialId: null });
    expect(await waitingIds(follower)).toEqual(own);
    await world.written(1, { credentialId: 'cr_2' });
    reach = () => Promise.reject(new AccessError('ERR_ACCESS_DENIED', 'No.'));
    await expect(follower.next(never)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
  });

  it('is asked for again by a minute at the latest while nothing happens: a key may be taken back', async () => {
    let reach = async (): Promise<string | null> => null;
    const follower = await world.outbox.follow('one', {}, () => reach());
    const refused = expect(follower.next(never)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    await settled();
    reach = () => Promise.reject(new AccessError('ERR_ACCESS_DENIED', 'No.'));
    await world.clock.advance(61_000);
    await refused;
  });
});

describe('events that were taken away before they were read', () => {
  it('are told once, with the first event after them', async () => {
    const follower = await follow();
    await world.written(5, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(3, 100);
    const [batch] = await waiting(follower);
    expect(batch).toMatchObject({ missed: true, events: [{ eventId: 'ev_4' }, { eventId: 'ev_5' }] });
    if (batch) await follower.done(batch);
    await world.written(1);
    expect(await waiting(follower)).toMatchObject([{ missed: false }]);
    expect(world.warnings).toHaveLength(1);
  });

  it('are told when the process that saw it died before anybody was told', async () => {
    const follower = await follow({ filter: { ownerId: 'bob' } });
    await world.written(150, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(1, 100);
    expect(await waiting(follower)).toEqual([]);
    await world.written(1, { ownerId: 'bob' });
    const next = await followAgain({ filter: { ownerId: 'bob' } });
    expect(await waiting(next)).toMatchObject([{ missed: true }]);
    // Handed out, not done: told again.
    expect(await waiting(await followAgain({ filter: { ownerId: 'bob' } }))).toMatchObject([{ missed: true }]);
  });

  it('are told again with the event that was not done, whatever was done after it', async () => {
    const follower = await follow();
    await world.written(5, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(3, 100);
    await waiting(follower);
    await world.written(1);
    for (const batch of await waiting(follower)) await follower.done(batch);
    expect(await waiting(await followAgain())).toMatchObject([{ missed: true, events: [{}, {}] }]);
  });

  it('do not make it look again and again when nothing is left', async () => {
    const follower = await follow();
    await world.written(5, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(5, 100);
    expect(await waiting(follower)).toEqual([]);
    const before = world.records.ranges;
    expect(await waiting(follower)).toEqual([]);
    expect(world.records.ranges - before).toBeLessThan(10);
    const later = await world.written(1);
    expect((await waiting(follower)).map(({ missed, events }) => [missed, events[0]?.eventId])).toEqual([
      [true, later[0]],
    ]);
  });

  it('are not told of to one who began after them, or with the oldest', async () => {
    await world.written(5, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(3, 100);
    expect(await waiting(await follow({ from: 'oldest' }))).toMatchObject([{ missed: false }]);
    const follower = await follow({}, 'two');
    await world.written(1);
    expect(await waiting(follower)).toMatchObject([{ missed: false }]);
  });
});

describe('a store that is away', () => {
  it('is told to who waits, and nothing is lost', async () => {
    const follower = await follow();
    const reading = follower.next(never);
    const told = expect(reading).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    await settled();
    world.records.away = new StorageError('ERR_STORE_UNAVAILABLE', 'Away.');
    const meanwhile = await world.written(1);
    await world.clock.advance(1_000);
    await told;
    world.records.away = null;
    expect(await waitingIds(follower)).toEqual(meanwhile);
  });

  it('does not undo what was done: it is stored with the next', async () => {
    const follower = await follow();
    await world.written(1);
    const [first] = await waiting(follower);
    const compareAndSet = world.records.compareAndSetFollower.bind(world.records);
    world.records.compareAndSetFollower = () => Promise.reject(new StorageError('ERR_STORE_UNAVAILABLE', 'Away.'));
    if (first) await expect(follower.done(first)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    world.records.compareAndSetFollower = compareAndSet;
    await follower.close();
    expect(await waitingIds(await followAgain())).toEqual([]);
  });
});

describe('the newest event', () => {
  it('is the last that the filter lets through', async () => {
    expect(await world.outbox.newest()).toBeNull();
    const [wanted] = await world.written(1, { ownerId: 'bob' });
    await world.written(250);
    expect(await world.outbox.newest({ ownerId: 'bob' })).toMatchObject({ eventId: wanted });
    expect(await world.outbox.newest({ ownerId: 'nobody' })).toBeNull();
    expect(await world.outbox.newest({}, async () => 'cr_other')).toBeNull();
  });
});
