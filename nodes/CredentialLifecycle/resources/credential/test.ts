import { testItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Proves the credential against the other side. Needs the scope test. */
export const testOperation: Operation = {
  option: {
    name: 'Test',
    value: 'test',
    action: 'Test a credential',
    description: 'Proves the credential against the other side. Needs the scope test.',
  },
  properties: [credentialLocator],
  run: async (call) => {
    const id = credentialIdOf(call);
    return [testItem(id, await call.operator.test(id))];
  },
};
