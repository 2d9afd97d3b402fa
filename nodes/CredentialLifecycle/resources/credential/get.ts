import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdFor, credentialIdOf, type Operation } from './operation.ts';

/** State, expiry and next action of one credential. Needs the scope list. */
export const getOperation: Operation = {
  option: {
    name: 'Get',
    value: 'get',
    action: 'Get a credential',
    description: 'State, expiry and next action of one credential. Needs the scope list.',
  },
  properties: [credentialIdFor('get')],
  run: async (call) => [credentialItem(await call.operator.get(credentialIdOf(call)))],
};
