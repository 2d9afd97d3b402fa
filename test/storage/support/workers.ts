import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

const WORKER = join(__dirname, '../../../scripts/stores/worker.mjs');

/** Starts a job that holds something until it is killed. Resolves when it has it. */
export async function startHolder(job: Readonly<Record<string, unknown>>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WORKER, JSON.stringify({ job: 'hold', ...job })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => {
      resolve();
    });
    child.once('close', () => {
      reject(new Error('The worker ended before it had anything.'));
    });
  });
  return child;
}

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
