import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { countTests, runJest } from '../../scripts/test/jest.mjs';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credlife-jest-run-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Runs one suite of a folder of its own. */
async function run(suite: string): Promise<{ passed: number; failed: number }> {
  await writeFile(join(folder, 'one.test.js'), suite);
  const config = { rootDir: folder, reporters: [] };
  await writeFile(join(folder, 'jest.config.cjs'), `module.exports = ${JSON.stringify(config)};`);
  return runJest(join(folder, 'jest.config.cjs'), { args: ['--runInBand'], lingerMs: 1_000 });
}

describe('a run of the tests', () => {
  it('counts what passed and what failed', async () => {
    expect(await run(`it('holds', () => {}); it('fails', () => { throw new Error('no'); });`)).toEqual({
      passed: 1,
      failed: 1,
    });
  });

  it('ends, and has failed, when a suite leaves something running', async () => {
    const suite = `it('holds', () => { setInterval(() => {}, 1000); });`;
    expect(await run(suite)).toEqual({ passed: 1, failed: 1 });
  });

  it('has failed without a report, without tests, and with a skipped test', () => {
    const report = { numFailedTests: 0, numTodoTests: 0, numRuntimeErrorTestSuites: 0, testResults: [] };
    expect(countTests(null, 0)).toEqual({ passed: 0, failed: 1 });
    expect(countTests({ ...report, numPassedTests: 0, numPendingTests: 0 }, 0)).toEqual({ passed: 0, failed: 1 });
    expect(countTests({ ...report, numPassedTests: 3, numPendingTests: 1 }, 0)).toEqual({ passed: 3, failed: 1 });
  });
});
