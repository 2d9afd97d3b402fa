// `npm run chaos -- NAME [--kills N] [--seed N]`: a kill loop of test/chaos at full length. It prints its seed; the same seed
// gives the same course of work and the same delays (when a kill hits depends on the machine as well).
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { runJest } from './test/jest.mjs';
import { conclude } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

process.chdir(root);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { kills: { type: 'string', default: '300' }, seed: { type: 'string', default: String(randomInt(2 ** 31)) } },
});
const [name = ''] = positionals;
const suite = `test/chaos/${name}.test.ts`;
if (!/^[a-z-]+$/.test(name) || !existsSync(suite)) {
  console.error(`chaos: there is no ${suite}; write for example: npm run chaos -- vault --kills 300`);
  process.exit(2);
}
const env = { CREDLIFE_CHAOS_KILLS: values.kills, CREDLIFE_CHAOS_SEED: values.seed };
conclude(await runJest('jest.config.cjs', { args: [suite], env }));
