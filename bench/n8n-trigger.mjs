// `npm run bench -- n8n-trigger`: how soon an n8n workflow starts after something happened to a credential.
import { createRequire } from 'node:module';
import process from 'node:process';
import { runCommand } from '../scripts/test/stages.mjs';

const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
const args = ['-c', 'jest.n8n.config.cjs', '--testMatch', '<rootDir>/test/n8n/trigger.measurement.ts'];
process.exitCode =
  (await runCommand([process.execPath, 'scripts/n8n-install.mjs'])) ||
  (await runCommand([process.execPath, jest, ...args], { NODE_OPTIONS: '--experimental-vm-modules' }));
