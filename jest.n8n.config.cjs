'use strict';

const base = require('./jest.config.cjs');

/** The suites against a real n8n. Run them with `npm run test:n8n`, which installs n8n first. */
module.exports = {
  ...base,
  testMatch: ['<rootDir>/test/n8n/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  // n8n takes 10 to 20 seconds to start, and its first request after that is slow too.
  testTimeout: 180_000,
  // One n8n at a time: two of them starting share the processors and take twice as long.
  maxWorkers: 1,
  // Each n8n writes hundreds of megabytes.
  globalSetup: undefined,
};
