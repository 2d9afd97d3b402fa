// Keeps docs/failure-scenarios.md true: its marks are what the tests of a run showed, and nothing else.
//
//   node scripts/failure-scenarios.mjs REPORT [--write]
//
// REPORT is what jest writes with --json. A test shows a scenario when its name begins with the scenario's ("F12 …"). The mark
// follows from the run and from the column "needs", which people write:
//
//   every test passed, nothing needed    pass (n tests)
//   every test passed, something needed  in part (n tests)
//   a test failed                        FAILED
//   no test                              not yet
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');
const DOCUMENT = path.join(root, 'docs', 'failure-scenarios.md');
const SCENARIOS = 58;
const ROW = /^\| (F\d\d) \| (.*) \| (.*?) \| (.*?) \|$/;

/** @typedef {{ title: string, status: string }} Test */
/** @typedef {{ testResults: { assertionResults: Test[] }[] }} Report */

/**
 * The tests of each scenario.
 * @param {Report} report
 */
function testsByScenario({ testResults }) {
  /** @type {Map<string, Test[]>} */
  const tests = new Map();
  for (const test of testResults.flatMap(({ assertionResults }) => assertionResults)) {
    const id = /^F\d\d(?= )/.exec(test.title)?.[0];
    if (id !== undefined) tests.set(id, [...(tests.get(id) ?? []), test]);
  }
  return tests;
}

/**
 * @param {Test[]} tests
 * @param {string} needs
 */
function markOf(tests, needs) {
  if (tests.length === 0) return 'not yet';
  if (tests.some(({ status }) => status !== 'passed')) return 'FAILED';
  const count = tests.length === 1 ? '1 test' : `${tests.length} tests`;
  return needs === '' ? `pass (${count})` : `in part (${count})`;
}

/**
 * The document as the run shows it, and what is wrong with it that no run can put right.
 * @param {string} document
 * @param {Report} report
 * @returns {{ marked: string, problems: string[] }}
 */
export function mark(document, report) {
  const tests = testsByScenario(report);
  /** @type {string[]} */
  const problems = [];
  /** @type {Set<string>} */
  const named = new Set();
  const lines = document.split('\n').map((line) => {
    const [, id = '', text = '', , needs = ''] = ROW.exec(line) ?? [];
    if (id === '') return line;
    const own = tests.get(id) ?? [];
    named.add(id);
    if (own.length === 0 && needs.trim() === '') problems.push(`${id} has no test and does not say what it needs`);
    return `| ${id} | ${text} | ${markOf(own, needs.trim())} | ${needs} |`;
  });
  for (const id of tests.keys()) if (!named.has(id)) problems.push(`${id} has a test and no line`);
  if (named.size !== SCENARIOS) problems.push(`it lists ${named.size} scenarios of ${SCENARIOS}`);
  return { marked: lines.join('\n'), problems };
}

/**
 * Compares the document with a run, or rewrites its marks. Returns what is wrong.
 * @param {Report} report
 * @param {{ write?: boolean }} [options]
 * @returns {string[]}
 */
export function checkScenarios(report, { write = false } = {}) {
  const document = readFileSync(DOCUMENT, 'utf8');
  const { marked, problems } = mark(document, report);
  if (write) writeFileSync(DOCUMENT, marked);
  const before = document.split('\n');
  const differing = write ? [] : marked.split('\n').filter((line, index) => line !== before[index]);
  return [
    ...problems,
    ...differing.map((line) => `the run shows: ${line.slice(0, 100)}`),
    ...(marked.includes('| FAILED |') ? ['a scenario failed'] : []),
  ];
}

function main() {
  const [file, flag] = process.argv.slice(2);
  if (file === undefined) {
    console.error('usage: node scripts/failure-scenarios.mjs REPORT [--write]');
    process.exitCode = 2;
    return;
  }
  const problems = checkScenarios(JSON.parse(readFileSync(file, 'utf8')), { write: flag === '--write' });
  for (const problem of problems) console.error(`docs/failure-scenarios.md: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (import.meta.filename === process.argv[1]) main();
