import { rotatedItem } from '../../../../src/n8n/outcome.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Replaces the secret by a new one, at the other side too. Needs the scope rotate. */
export const rotateOperation: Operation = {
  option: {
    name: 'Rotate',
    value: 'rotate',
    action: 'Rotate a credential',
    description:
      'Replaces the secret by a new one, at the other side too, or fails and leaves the old one in use. Needs the scope rotate.',
  },
  properties: [credentialLocator],
  run: async (call) => [rotatedItem(await call.operator.rotate(credentialIdOf(call)))],
};
