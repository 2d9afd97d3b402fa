import { useItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, useOptionsOf, type Operation } from '../operation.ts';

/** Gets a token if none is valid, and returns state, expiry and generation, never the token. Needs the scope use. */
export const useOperation: Operation = {
  option: {
    name: 'Use',
    value: 'use',
    action: 'Make sure that a credential is usable',
    description:
      'Gets a token if none is valid, and returns state, expiry and generation, never the token. Needs the scope use.',
  },
  properties: [credentialLocator],
  run: async (call) => [useItem(await call.operator.use(credentialIdOf(call), useOptionsOf(call)))],
};
