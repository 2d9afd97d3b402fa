import { foundUserItem } from '../../../src/n8n/directory-output.ts';
import { abortable, textOf, type Operation, type OperationCall } from './operation.ts';

const SHOWN = { show: { operation: ['getUser'] } };

/** The entry and the groups of one user. */
export const getUserOperation: Operation = {
  option: {
    name: 'Get User',
    value: 'getUser',
    action: 'Get a user with groups',
    description: 'Entry and groups of one user. Without one, or with more than one of that name, "found" is false.',
  },
  properties: [
    {
      displayName: 'By',
      name: 'by',
      type: 'options',
      options: [
        { name: 'Mail', value: 'mail', description: 'The attribute mail' },
        { name: 'User Name', value: 'username', description: 'What the user filter of the credential says' },
        { name: 'User Principal Name', value: 'userPrincipalName', description: 'The attribute userPrincipalName' },
      ],
      default: 'username',
      description: 'What the user is known by',
      displayOptions: SHOWN,
    },
    {
      displayName: 'Name',
      name: 'name',
      type: 'string',
      required: true,
      default: '',
      description: 'User name, mail address or user principal name. It is escaped: an asterisk finds nobody.',
      displayOptions: SHOWN,
    },
    {
      displayName: 'Nested Groups',
      name: 'nestedGroups',
      type: 'boolean',
      default: false,
      description: 'Whether to return groups of groups, too, also where the credential does not say so',
      displayOptions: SHOWN,
    },
  ],
  run: async (call) => {
    const nested = call.context.getNodeParameter('nestedGroups', call.itemIndex, false) === true;
    const options = { by: byOf(call), ...(nested && { nested }), ...abortable(call) };
    return [foundUserItem(await call.directory.getUser(textOf(call, 'name').trim(), options))];
  },
};

function byOf({ context, itemIndex }: OperationCall): 'username' | 'mail' | 'userPrincipalName' {
  const by: unknown = context.getNodeParameter('by', itemIndex, 'username');
  return by === 'mail' || by === 'userPrincipalName' ? by : 'username';
}
