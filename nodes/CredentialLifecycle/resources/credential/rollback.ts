import { rotatedItem } from '../../../../src/n8n/outcome.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Puts the secret before the last rotation back in use. Needs the scope rotate. */
export const rollbackOperation: Operation = {
  option: {
    name: 'Roll Back',
    value: 'rollback',
    action: 'Roll back a credential',
    description: 'Puts the secret before the last rotation back in use. Needs the scope rotate.',
  },
  properties: [credentialLocator],
  run: async (call) => [rotatedItem(await call.operator.rollback(credentialIdOf(call)))],
};
