import type { INodeProperties } from 'n8n-workflow';

const owner: INodeProperties = {
  displayName: 'Owner Name or ID',
  name: 'ownerId',
  type: 'options',
  typeOptions: { loadOptionsMethod: 'getOwners' },
  default: '',
  description:
    'Only credentials of this owner. Choose from the list, or specify an ID using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
};
const protocol: INodeProperties = {
  displayName: 'Protocol Name or ID',
  name: 'protocol',
  type: 'options',
  typeOptions: { loadOptionsMethod: 'getProtocols' },
  default: '',
  description:
    'Only credentials of this protocol. Choose from the list, or specify an ID using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
};
const scope: INodeProperties = {
  displayName: 'Scope ID',
  name: 'scopeId',
  type: 'string',
  default: '',
  placeholder: '={{ $workflow.id }}',
  description: 'Only credentials that are for this workflow, project or environment',
};
const state: INodeProperties = {
  displayName: 'State',
  name: 'state',
  type: 'options',
  options: [
    { name: 'Expired', value: 'expired' },
    { name: 'Pending', value: 'pending' },
    { name: 'Refreshing', value: 'refreshing' },
    { name: 'Revoked', value: 'revoked' },
    { name: 'Valid', value: 'valid' },
  ],
  default: 'valid',
  description: 'Only credentials in this state',
};
const tags: INodeProperties = {
  displayName: 'Tag Names or IDs',
  name: 'tags',
  type: 'multiOptions',
  typeOptions: { loadOptionsMethod: 'getTags' },
  default: [],
  description:
    'Only credentials that carry all of these tags. Choose from the list, or specify IDs using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
};

/** Which credentials an operation is about. Empty ones filter nothing. */
export const filters: INodeProperties = {
  displayName: 'Filters',
  name: 'filters',
  type: 'collection',
  placeholder: 'Add Filter',
  default: {},
  description: 'Which credentials are meant; without a filter, all that the access key may list',
  options: [owner, protocol, scope, state, tags],
};
