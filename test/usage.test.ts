import { StorageError } from '../src/errors.ts';
import { silentLogger, systemFetch, systemRandom } from '../src/ports.ts';
import { MOST_USERS, type CountedUses } from '../src/storage/ledger.ts';
import { MemoryRecordStore } from '../src/storage/memory-records.ts';
import { Usage } from '../src/usage.ts';
import { aRecord, secondsAfter } from './support/record.ts';
import { SteppedClock } from './support/stepped-clock.ts';

const MINUTE = 60_000;

/** A store that notes each write of uses, and fails while it is told to. */
class NotingStore extends MemoryRecordStore {
  readonly writes: (readonly CountedUses[])[] = [];
  isAway = false;

  override async addUses(counted: readonly CountedUses[]): Promise<void> {
    this.writes.push(counted);
    if (this.isAway) throw new StorageError('ERR_STORE_UNAVAILABLE', 'Away.');
    return super.addUses(counted);
  }
}

let clock: SteppedClock;
let records: NotingStore;
let usage: Usage;

beforeEach(async () => {
  clock = new SteppedClock();
  records = new NotingStore(clock);
  for (const id of ['a', 'b']) await records.insert(aRecord({ id }), []);
  usage = new Usage({ records, ports: { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger } });
});

function use(id: string, by?: string): void {
  usage.count(id, by === undefined ? undefined : { kind: 'workflow', id: by }, clock.now().getTime());
}

it('writes once a minute what was counted in it, however often that was', async () => {
  for (let times = 0; times < 1_000; times += 1) use('a', 'w');
  use('b');
  await clock.advance(MINUTE - 1);
  expect(records.writes).toEqual([]);
  await clock.advance(1);
  expect(records.writes).toHaveLength(1);
  await clock.advance(10 * MINUTE);
  expect(records.writes).toHaveLength(1);
  const found = await usage.of(['a', 'b']);
  expect(found.get('a')).toMatchObject({
    uses: 1_000,
    users: [{ usedBy: { kind: 'workflow', id: 'w' }, uses: 1_000 }],
  });
  expect(found.get('b')).toMatchObject({ uses: 1, users: [{ usedBy: null }] });
});

it('knows the instant of the last use, not that of the write', async () => {
  const at = clock.now();
  use('a', 'w');
  await clock.advance(5_000);
  use('a', 'v');
  await clock.advance(MINUTE);
  const { lastUsedAt, users } = (await usage.of(['a'])).get('a') ?? {};
  expect(lastUsedAt).toEqual(secondsAfter(at, 5));
  expect(users).toEqual([
    { usedBy: { kind: 'workflow', id: 'v' }, uses: 1, lastUsedAt: secondsAfter(at, 5) },
    { usedBy: { kind: 'workflow', id: 'w' }, uses: 1, lastUsedAt: at },
  ]);
});

it('tells users of one name but another kind apart, who take turns', async () => {
  for (let turn = 0; turn < 10; turn += 1) {
    usage.count('a', { kind: 'n8n', id: 'x' }, 1);
    usage.count('a', { kind: 'command', id: 'x' }, 2);
  }
  expect((await usage.of(['a'])).get('a')?.users.map(({ usedBy, uses }) => [usedBy?.kind, uses])).toEqual([
    ['command', 10],
    ['n8n', 10],
  ]);
});

it('holds no more users in memory than it would write', async () => {
  for (let user = 0; user < 10 * MOST_USERS; user += 1) use('a', String(user));
  await usage.flush();
  expect(records.writes[0]?.[0]).toMatchObject({ uses: 10 * MOST_USERS });
  expect(records.writes[0]?.[0]?.users).toHaveLength(MOST_USERS);
});

it('keeps what a store that is away did not take, for the next write', async () => {
  records.isAway = true;
  use('a', 'w');
  await clock.advance(MINUTE);
  use('a', 'w');
  records.isAway = false;
  await clock.advance(MINUTE);
  expect((await usage.of(['a'])).get('a')).toMatchObject({ uses: 2, users: [{ uses: 2 }] });
});

it('writes what is left when it closes, and arms no timer after that', async () => {
  use('a');
  await usage.close();
  expect(records.writes).toHaveLength(1);
  use('a');
  await clock.advance(10 * MINUTE);
  expect(records.writes).toHaveLength(1);
});

it('begins to write in the turn in which it is told to', () => {
  use('a');
  const flushed = usage.flush();
  expect(records.writes).toHaveLength(1);
  return flushed;
});
