import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Scheduled work on it rests; idle grants are kept alive, and it can be used. Needs the scope pause. */
export const pauseOperation: Operation = {
  option: {
    name: 'Pause',
    value: 'pause',
    action: 'Pause a credential',
    description:
      'Scheduled refreshes, tests and rotations rest; idle grants are kept alive, and it can be used. Needs the scope pause.',
  },
  properties: [credentialLocator],
  run: async (call) => [credentialItem(await call.operator.pause(credentialIdOf(call)))],
};
