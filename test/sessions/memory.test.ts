import { MemoryAuthRows } from '../../src/sessions/memory-rows.ts';
import { authStorageConformance } from '../conformance/auth-storage.ts';

authStorageConformance('memory', async () => {
  const rows = new MemoryAuthRows();
  return { rows, dispose: () => rows.close() };
});
