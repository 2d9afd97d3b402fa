// Runs the parts of a test run one after the other, counts, and says how long each took.
import { spawn } from 'node:child_process';
import process from 'node:process';

const KILL_AFTER_MS = 10_000;

/**
 * @typedef {{ passed: number, failed: number }} Outcome
 * @typedef {{ name: string, run: () => Promise<Outcome> }} Stage
 */

/**
 * Runs every stage, also after one has failed: a person wants to know all that is wrong.
 * @param {Stage[]} stages
 * @returns {Promise<Outcome>}
 */
export async function runStages(stages) {
  const total = { passed: 0, failed: 0 };
  const times = [];
  for (const { name, run } of stages) {
    const startedAt = performance.now();
    const { passed, failed } = await run();
    total.passed += passed;
    total.failed += failed;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    times.push(`${failed === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.padStart(7)} s`);
    console.log(times.at(-1));
  }
  console.log(`\n${times.join('\n')}`);
  return total;
}

/**
 * Prints the line that the whole run ends with, and sets the exit code. A run in which nothing was tested has failed.
 * @param {Outcome} total
 */
export function conclude({ passed, failed }) {
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
  console.log(`${passed} passed, ${failed} failed`);
}

/**
 * Runs a program to its end and returns its exit code. It has a process group of its own, so that a signal to us ends it together
 * with all that it has started: a server under test must not outlive its test.
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} [env] in addition to our own
 * @param {AbortSignal} [until] ends it early; the exit code is then 1
 * @returns {Promise<number>}
 */
export function runCommand([program = '', ...args], env = {}, until) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      detached: true,
    });
    const stop = endsGroup(child);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
    until?.addEventListener('abort', () => endGroup(child), { once: true });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, stop);
      resolve(signal === null ? (code ?? 1) : 1);
    });
  });
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {(signal: NodeJS.Signals) => void}
 */
function endsGroup(child) {
  return (signal) => {
    child.once('close', () => process.exit(signal === 'SIGINT' ? 130 : 143));
    endGroup(child);
  };
}

/**
 * Asks the whole group to end, and ends what has not after ten seconds or is left when its leader is gone.
 * @param {import('node:child_process').ChildProcess} child
 */
function endGroup(child) {
  child.prependOnceListener('close', () => signalGroup(child, 'SIGKILL'));
  setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS).unref();
  signalGroup(child, 'SIGTERM');
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal
 */
function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone, which is what we wanted.
  }
}

/**
 * A stage that is one command: it counts as one check, passed when the exit code is 0.
 * @param {string} name
 * @param {string[]} command
 * @returns {Stage}
 */
export function commandStage(name, command) {
  return {
    name,
    run: async () => ((await runCommand(command)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }),
  };
}
