import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Replaces the secret by a new one, at the other side too. Needs the scope rotate. */
export const rotateOperation: Operation = {
  option: {
    name: 'Rotate',
    value: 'rotate',
    action: 'Rotate a credential',
    description: 'Replaces the secret by a new one, at the other side too. Needs the scope rotate.',
  },
  properties: [credentialLocator],
  run: async (call) => [credentialItem(await call.operator.rotate(credentialIdOf(call)))],
};
