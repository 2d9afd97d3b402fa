import { requireConfirmed } from '../../../../src/n8n/changes.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Ends the credential at the other side and forgets it. Needs the scope delete, and list to compare the name. */
export const deleteOperation: Operation = {
  option: {
    name: 'Delete',
    value: 'delete',
    action: 'Delete a credential',
    description:
      'Ends the credential at the other side, and forgets it with its secrets and access keys. Needs the scope delete.',
  },
  properties: [
    credentialLocator,
    {
      displayName: 'Confirm',
      name: 'confirmation',
      type: 'string',
      required: true,
      default: '',
      placeholder: 'the name of the credential',
      description:
        'Name or ID of the credential once more; with anything else nothing is deleted. To compare a name, the access key needs the scope list too.',
    },
  ],
  run: async (call) => {
    const id = credentialIdOf(call);
    await requireConfirmed(call.operator, id, call.context.getNodeParameter('confirmation', call.itemIndex, ''));
    await call.operator.delete(id);
    return [{ id, deleted: true }];
  },
};
