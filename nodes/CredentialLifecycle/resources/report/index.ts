import type { Resource } from '../resource.ts';
import { agesOperation } from './ages.ts';
import { expiringOperation } from './expiring.ts';
import { failingOperation } from './failing.ts';
import { unusedOperation } from './unused.ts';

/** What is to be done about the credentials, as lists. */
export const reportResource: Resource = {
  option: {
    name: 'Report',
    value: 'report',
    description: 'What ends soon, what fails, what nobody uses, and how old all is',
  },
  initial: 'expiring',
  operations: [agesOperation, expiringOperation, failingOperation, unusedOperation],
};
