'use strict';

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
  testSequencer: '<rootDir>/scripts/test/slowest-first.cjs',
  globalSetup: '<rootDir>/scripts/test/memory.cjs',
  restoreMocks: true,
};
