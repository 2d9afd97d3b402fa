import type { INodeProperties } from 'n8n-workflow';
import { changesFrom } from '../../../../src/n8n/changes.ts';
import { credentialItem } from '../../../../src/n8n/output.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

const changes: INodeProperties = {
  displayName: 'Changes',
  name: 'changes',
  type: 'collection',
  placeholder: 'Add Change',
  default: {},
  description: 'What is not in here stays as it is. All is judged before anything is written.',
  options: [
    {
      displayName: 'Name',
      name: 'name',
      type: 'string',
      default: '',
      description: 'What people call it',
    },
    {
      displayName: 'Owner ID',
      name: 'ownerId',
      type: 'string',
      default: '',
      description: 'Who owns it; empty for nobody. Its secrets are sealed again for the new owner.',
    },
    {
      displayName: 'Scope ID',
      name: 'scopeId',
      type: 'string',
      default: '',
      placeholder: '={{ $workflow.id }}',
      description:
        'The workflow, project or environment that it is for; empty for none. With the ID of a workflow, Pre-Flight finds it as one of "this workflow".',
    },
    {
      displayName: 'Secret',
      name: 'secret',
      type: 'string',
      typeOptions: { password: true },
      default: '',
      description:
        'The whole secret: a JSON object such as {"clientSecret": "…", "refreshToken": "…"}, or {"password": "…"}. It is never in the output, but n8n stores in clear what is typed here and what items hold: prefer the operation Rotate, or "credlife update".',
    },
    {
      displayName: 'Settings',
      name: 'config',
      type: 'json',
      default: '{}',
      description:
        'All of its settings as a JSON object: what is not in there goes back to its default. It is tested with them at once.',
    },
    {
      displayName: 'Tags',
      name: 'tags',
      type: 'string',
      default: '',
      placeholder: 'production,billing',
      description: 'All of its tags, separated by commas; empty for none',
    },
    {
      displayName: 'Test Every (Minutes)',
      name: 'testEveryMinutes',
      type: 'number',
      typeOptions: { minValue: -1 },
      default: 60,
      description: 'How often it is tested by schedule: 0 for never, -1 for as often as the engine tests',
    },
  ],
};

/** Changes name, owner, scope, tags, tests, settings or secret, whole or not at all. Needs the scope update. */
export const updateOperation: Operation = {
  option: {
    name: 'Update',
    value: 'update',
    action: 'Update a credential',
    description:
      'Changes name, owner, scope, tags, test interval, settings or secret: all that is given, or nothing. Needs the scope update.',
  },
  properties: [credentialLocator, changes],
  run: async (call) => {
    const entered = changesFrom(call.context.getNodeParameter('changes', call.itemIndex, {}));
    return [credentialItem(await call.operator.update(credentialIdOf(call), entered))];
  },
};
