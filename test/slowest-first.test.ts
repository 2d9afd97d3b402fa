import { existsSync } from 'node:fs';
import { join } from 'node:path';
import SlowestFirst from '../scripts/test/slowest-first.cjs';

const ROOT = join(__dirname, '..');
const { SLOWEST } = SlowestFirst;
/** As jest hands them over, in a checkout without a cache. */
const context = { config: { id: 'none', cacheDirectory: join(ROOT, 'no-cache') }, hasteFS: { getSize: () => 1 } };
const testsOf = (names: readonly string[]) => names.map((name) => ({ path: join(ROOT, name), context }));

it('names suites that there are, each once', () => {
  expect(SLOWEST.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  expect(new Set(SLOWEST).size).toBe(SLOWEST.length);
});

it('puts them first, the slowest ahead, and loses none of the others', async () => {
  const others = ['test/usage.test.ts', 'test/secret.test.ts'];
  const sequencer = new SlowestFirst({ contexts: [], globalConfig: {} } as never);
  const sorted = await sequencer.sort(testsOf([...others, ...SLOWEST.toReversed()]) as never);
  const names = sorted.map(({ path }: { path: string }) => path.slice(ROOT.length + 1));
  expect(names.slice(0, SLOWEST.length)).toEqual(SLOWEST);
  expect(names.slice(SLOWEST.length).sort()).toEqual(others.sort());
});
