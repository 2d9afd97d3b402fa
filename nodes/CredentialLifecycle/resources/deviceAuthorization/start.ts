import { startedItem } from '../../../../src/n8n/device-authorization.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Begins a sign-in. Needs the scope authorize. */
export const startOperation: Operation = {
  option: {
    name: 'Start',
    value: 'start',
    action: 'Start a device authorization',
    description:
      'Returns a code and a link for a person to sign in with, and until when; send them to that person alone. Nothing changes until then. Needs the scope authorize.',
  },
  properties: [credentialLocator],
  run: async (call) => [startedItem(await call.operator.authorize(credentialIdOf(call)))],
};
