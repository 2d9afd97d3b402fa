import { openMemory } from '../../src/storage/memory.ts';
import { recordStoreConformance } from '../conformance/record-store.ts';
import { secretStoreConformance } from '../conformance/secret-store.ts';
import { StillClock } from '../support/still-clock.ts';

function inMemory() {
  const clock = new StillClock();
  const { records, secrets } = openMemory(clock);
  return { store: records, secrets, clock, dispose: () => records.close() };
}

recordStoreConformance('memory', async () => inMemory());
secretStoreConformance('memory', async () => {
  const { secrets, dispose } = inMemory();
  return { store: secrets, dispose };
});
