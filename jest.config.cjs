'use strict';

const { statfsSync } = require('node:fs');

const MEMORY = '/dev/shm';
const ROOM_BYTES = 2 ** 30;

function hasRoom() {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}

// Suites make thousands of small databases, and each write waits for the disk. They kill processes, but none pulls the plug: what
// memory keeps is enough for them. A folder that somebody names goes first.
if (process.env['TMPDIR'] === undefined && hasRoom()) process.env['TMPDIR'] = MEMORY;

const SWC = {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
  // ignoreDynamic: import() stays what Node makes of it, as in the built package.
  module: { type: 'commonjs', ignoreDynamic: true },
  sourceMaps: 'inline',
};

/** Suites whose servers are not installed and may not be; `npm test` names them (scripts/test/servers.mjs). */
const leftOut = (process.env['CREDLIFE_TEST_LEAVE_OUT'] ?? '').split(',').filter((file) => file !== '');

/** Everything but the suites against a real n8n, which have jest.n8n.config.cjs. */
module.exports = {
  rootDir: __dirname,
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/n8n/', ...leftOut.map((file) => `<rootDir>/${file}$`)],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.credlife/'],
  transform: { '\\.ts$': ['@swc/jest', SWC] },
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', 'credentials/**/*.ts', 'nodes/**/*.ts', '!src/index.ts'],
  // Most suites wait for processes and servers: on two processors two of them at a time are done in nearly half the time.
  maxWorkers: 2,
  restoreMocks: true,
};
