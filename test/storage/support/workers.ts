import { spawn } from 'node:child_process';
import { join } from 'node:path';

const WORKER = join(__dirname, '../../../scripts/stores/worker.mjs');

/** Runs a job of scripts/stores/worker.mjs in a process of its own, on the built package. Returns the lines that it said. */
export async function runWorker(job: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>[]> {
  const child = spawn(process.execPath, [WORKER, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Jest's own switches are not for a plain process.
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`The worker ended with ${String(code)}: ${errors}`);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
