import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Ends the credential here and, where the other side offers it, there. It stays revoked. Needs the scope revoke. */
export const revokeOperation: Operation = {
  option: {
    name: 'Revoke',
    value: 'revoke',
    action: 'Revoke a credential',
    description:
      'Ends the credential here and, where the other side offers it, there. It stays revoked. Needs the scope revoke.',
  },
  properties: [credentialLocator],
  run: async (call) => [credentialItem(await call.operator.revoke(credentialIdOf(call)))],
};
