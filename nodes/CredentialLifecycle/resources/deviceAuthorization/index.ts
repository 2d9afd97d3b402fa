import type { Resource } from '../resource.ts';
import { startOperation } from './start.ts';
import { waitOperation } from './wait.ts';

/** The sign-in of a person who enters a code on a device of his own. */
export const deviceAuthorizationResource: Resource = {
  option: {
    name: 'Device Authorization',
    value: 'deviceAuthorization',
    description: 'The sign-in of a person who enters a code on a device of their own',
  },
  initial: 'start',
  operations: [startOperation, waitOperation],
};
