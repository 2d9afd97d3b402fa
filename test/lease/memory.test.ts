import { MemoryLeases } from '../../src/lease/memory.ts';
import { systemRandom } from '../../src/ports.ts';
import { leaseConformance } from '../conformance/lease.ts';
import { StillClock } from '../support/still-clock.ts';

leaseConformance('memory', async () => {
  const clock = new StillClock();
  const leases = new MemoryLeases({ clock, random: systemRandom });
  return { leases, advance: clock.advance.bind(clock), dispose: () => leases.close() };
});
