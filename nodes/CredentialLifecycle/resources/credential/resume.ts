import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Ends a pause; what became due meanwhile is done at once. Needs the scope pause. */
export const resumeOperation: Operation = {
  option: {
    name: 'Resume',
    value: 'resume',
    action: 'Resume a credential',
    description: 'Ends a pause; what became due meanwhile is done at once. Needs the scope pause.',
  },
  properties: [credentialLocator],
  run: async (call) => [credentialItem(await call.operator.resume(credentialIdOf(call)))],
};
