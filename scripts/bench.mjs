// `npm run bench -- NAME`: a measurement of bench/. It prints a Markdown table.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { runCommand } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

const [name = ''] = process.argv.slice(2);
const file = path.join(root, 'bench', `${name}.mjs`);
if (!/^[a-z0-9-]+$/.test(name) || name === 'harness' || !existsSync(file)) {
  console.error('bench: no such measurement; write for example: npm run bench -- vault');
  process.exit(2);
}
process.exitCode = await runCommand([process.execPath, file]);
