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

/**
 * @param {string} config
 * @param {{ args?: string[], env?: NodeJS.ProcessEnv, onReport?: (report: Report) => void }} [options] more arguments for
 *   jest, more environment, and who reads its report
 * @returns {Promise<import('./stages.mjs').Outcome>}
 */
export async function runJest(config, { args = [], env = {}, onReport } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-jest-'));
  try {
    const file = path.join(folder, 'report.json');
    const absent = path.join(folder, 'absent-suites');
    const { NODE_OPTIONS = '' } = process.env;
    // --ci always: snapshots that do not exist are an error at home too.
    const command = [process.execPath, jest, '--config', config, '--ci', '--json', `--outputFile=${file}`, ...args];
    const code = await runCommand(command, {
      ...env,
      NODE_OPTIONS: `${NODE_OPTIONS} ${NODE_SWITCHES}`.trim(),
      CREDLIFE_ABSENT_SUITES: absent,
    });
    nameAbsent(absent);
    const report = readReport(file);
    if (report !== null) onReport?.(report);
    return countTests(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
