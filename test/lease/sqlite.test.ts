import { join } from 'node:path';
import { SqliteLeases } from '../../src/lease/sqlite.ts';
import { systemRandom } from '../../src/ports.ts';
import { leaseConformance } from '../conformance/lease.ts';
import { temporaryFolder } from '../support/folder.ts';
import { StillClock } from '../support/still-clock.ts';

leaseConformance('SQLite', async () => {
  const folder = temporaryFolder();
  const clock = new StillClock();
  const leases = SqliteLeases.open(join(folder.path, 'c.db'), { clock, random: systemRandom });
  const dispose = async (): Promise<void> => {
    await leases.close();
    folder.dispose();
  };
  return { leases, advance: clock.advance.bind(clock), dispose };
});

it('a reboot of the host ends the leases of before', async () => {
  const folder = temporaryFolder();
  const before = new StillClock();
  const after = new StillClock();
  after.hostTime = () => ({ epoch: 'next boot', ms: 1 });
  const path = join(folder.path, 'c.db');
  const first = SqliteLeases.open(path, { clock: before, random: systemRandom });
  const second = SqliteLeases.open(path, { clock: after, random: systemRandom });
  expect(await first.acquire('work', 60_000)).toMatchObject({ fence: 1 });
  expect(await second.acquire('work', 60_000)).toMatchObject({ fence: 2 });
  await Promise.all([first.close(), second.close()]);
  folder.dispose();
});
