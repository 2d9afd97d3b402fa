// Runs jest and counts from its own report.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { runCommand } from './stages.mjs';

const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
/** Jest loads ESM-only packages through `require` with this switch only. */
const NODE_SWITCHES = '--experimental-vm-modules --disable-warning=ExperimentalWarning';
/** How long jest may live on after its report, and how often that is looked at. */
const LINGER_MS = 30_000;
const LOOK_MS = 1_000;

/**
 * @param {string} config
 * @param {{ args?: string[], env?: NodeJS.ProcessEnv, onReport?: (report: Report) => void, lingerMs?: number }} [options] more
 *   arguments for jest, more environment, who reads its report, and how long jest may live on after it
 * @returns {Promise<import('./stages.mjs').Outcome>}
 */
export async function runJest(config, { args = [], env = {}, onReport, lingerMs = LINGER_MS } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-jest-'));
  try {
    const file = path.join(folder, 'report.json');
    const absent = path.join(folder, 'absent-suites');
    const { NODE_OPTIONS = '' } = process.env;
    // --ci always: snapshots that do not exist are an error at home too.
    const command = [process.execPath, jest, '--config', config, '--ci', '--json', `--outputFile=${file}`, ...args];
    const lingering = lingeringAfter(file, lingerMs);
    const code = await runCommand(
      command,
      { ...env, NODE_OPTIONS: `${NODE_OPTIONS} ${NODE_SWITCHES}`.trim(), CREDLIFE_ABSENT_SUITES: absent },
      lingering.signal,
    );
    lingering.forget();
    if (lingering.signal.aborted)
      console.error('jest did not end after its last test: a suite left something running.');
    nameAbsent(absent);
    const report = readReport(file);
    if (report !== null) onReport?.(report);
    return countTests(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Aborts when the report has long been written: what a suite left open keeps jest alive, and would do so for ever.
 * @param {string} report
 * @param {number} lingerMs
 */
function lingeringAfter(report, lingerMs) {
  const abort = new AbortController();
  let writtenAt = Number.POSITIVE_INFINITY;
  const looking = setInterval(() => {
    if (existsSync(report)) writtenAt = Math.min(writtenAt, performance.now());
    if (performance.now() - writtenAt > lingerMs) abort.abort();
  }, LOOK_MS);
  return { signal: abort.signal, forget: () => clearInterval(looking) };
}

/**
 * Names the suites that this machine could not run: what was not shown is said, never passed over.
 * @param {string} file one line for each
 */
function nameAbsent(file) {
  if (!existsSync(file)) return;
  const lines = [...new Set(readFileSync(file, 'utf8').trim().split('\n'))].sort();
  console.log(`\n${lines.length} suites not run, because this machine lacks what they need:`);
  for (const line of lines) console.log(`  ${line}`);
}

/**
 * @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number,
 *   numRuntimeErrorTestSuites: number, testResults: { assertionResults: { title: string, status: string }[] }[] }} Report
 * @param {string} file
 * @returns {Report | null}
 */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/**
 * A suite that cannot be loaded counts as one failure, and so does a skipped test: a test runs or is not there.
 * @param {Report | null} report
 * @param {number} exitCode
 */
export function countTests(report, exitCode) {
  if (report === null) return { passed: 0, failed: 1 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = report;
  const failed = numFailedTests + numRuntimeErrorTestSuites + numPendingTests + numTodoTests;
  // Jest can fail without a failed test, and a run without tests has shown nothing.
  const failedOtherwise = failed === 0 && (exitCode !== 0 || numPassedTests === 0);
  return { passed: numPassedTests, failed: failedOtherwise ? 1 : failed };
}
