import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** State, expiry and next action of one credential. Needs the scope list. */
export const getOperation: Operation = {
  option: {
    name: 'Get',
    value: 'get',
    action: 'Get a credential',
    description: 'State, expiry and next action of one credential. Needs the scope list.',
  },
  properties: [credentialLocator],
  run: async (call) => [credentialItem(await call.operator.get(credentialIdOf(call)))],
};
