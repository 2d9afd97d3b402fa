import { describe, expect, it } from '@jest/globals';
import { isMainOrWorker } from '../../src/n8n/keeper.ts';

describe('the keeper starts with the package', () => {
  it.each([
    ['/usr/local/bin/node', '/usr/local/bin/n8n'],
    ['/usr/local/bin/node', '/usr/local/bin/n8n', 'start'],
    ['/usr/local/bin/node', '/usr/local/bin/n8n', '--tunnel'],
    ['/usr/local/bin/node', '/usr/local/bin/n8n', 'worker', '--concurrency=10'],
  ])('in main and workers: %s %s %s', (...argv) => {
    expect(isMainOrWorker(argv)).toBe(true);
  });

  it.each([
    ['/usr/local/bin/node', '/usr/local/bin/n8n', 'execute'],
    ['/usr/local/bin/node', '/usr/local/bin/n8n', 'export:credentials'],
    ['/usr/local/bin/node', '/usr/local/bin/n8n', 'webhook'],
    ['/usr/local/bin/node', '/app/node_modules/.bin/eslint'],
    ['/usr/local/bin/node'],
  ])('in nothing else: %s %s %s', (...argv) => {
    expect(isMainOrWorker(argv)).toBe(false);
  });
});
