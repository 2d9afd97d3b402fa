import { refreshedItem } from '../../../../src/n8n/outcome.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Obtains a new token now, or fails. Needs the scope refresh. */
export const refreshOperation: Operation = {
  option: {
    name: 'Refresh',
    value: 'refresh',
    action: 'Refresh a credential',
    description: 'Obtains a new token now, or fails. Needs the scope refresh.',
  },
  properties: [credentialLocator],
  run: async (call) => [refreshedItem(await call.operator.refresh(credentialIdOf(call)))],
};
