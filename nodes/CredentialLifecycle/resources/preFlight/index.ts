import type { Resource } from '../resource.ts';
import { checkOperation } from './check.ts';

/** Whether credentials live long enough for what a workflow is about to do. */
export const preFlightResource: Resource = {
  option: {
    name: 'Pre-Flight',
    value: 'preFlight',
    description: 'Whether credentials live long enough for what a workflow is about to do',
  },
  initial: 'check',
  operations: [checkOperation],
};
