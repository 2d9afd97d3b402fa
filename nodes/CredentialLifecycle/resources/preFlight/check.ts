import type { INodeProperties } from 'n8n-workflow';
import { preflightCheck } from '../../../../src/n8n/preflight.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';

const properties: INodeProperties[] = [
  {
    displayName: 'Credentials',
    name: 'selection',
    type: 'options',
    options: [
      { name: 'By Filter', value: 'filter', description: 'All that an owner has, that carry tags, …' },
      { name: 'By ID', value: 'ids', description: 'The IDs that "credlife list" shows' },
      { name: 'Choose From List', value: 'list', description: 'Names that the engine knows' },
      {
        name: 'Of This Workflow',
        value: 'workflow',
        description: 'Those whose Scope ID is the ID of this workflow, or of another scope',
      },
    ],
    default: 'list',
    description: 'Which credentials must be alive',
  },
  {
    displayName: 'Credential Names or IDs',
    name: 'credentialIds',
    type: 'multiOptions',
    typeOptions: { loadOptionsMethod: 'getCredentials' },
    required: true,
    default: [],
    description:
      'All of these must be alive. Choose from the list, or specify IDs using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
    displayOptions: { show: { selection: ['list'] } },
  },
  {
    displayName: 'Credential IDs',
    name: 'ids',
    type: 'string',
    required: true,
    default: '',
    placeholder: 'cr_0123456789abcdef0123,cr_…',
    description: 'All of these must be alive: separated by commas, or an array by an expression',
    displayOptions: { show: { selection: ['ids'] } },
  },
  { ...filters, displayOptions: { show: { selection: ['filter'] } } },
  {
    displayName: 'Scope ID',
    name: 'scopeId',
    type: 'string',
    required: true,
    default: '={{ $workflow.id }}',
    description:
      'All credentials whose Scope ID is this must be alive. A node cannot see which credentials other nodes use: give each its Scope ID with the operation Update of the resource Credential, or with "credlife update --for".',
    displayOptions: { show: { selection: ['workflow'] } },
  },
  {
    displayName: 'Alive for (Minutes)',
    name: 'minutes',
    type: 'number',
    typeOptions: { minValue: 0 },
    default: 120,
    description: 'For how long from now on they must be usable. What refreshes itself and is healthy counts as alive.',
  },
  {
    displayName: 'Refresh Those That End',
    name: 'refresh',
    type: 'boolean',
    default: false,
    description:
      'Whether to get a new token now for each whose token ends within that time, which proves that it refreshes. Needs the scope refresh.',
  },
  {
    displayName: 'Test Each',
    name: 'test',
    type: 'boolean',
    default: false,
    description:
      'Whether to ask the other side about each that looks alive. A test of a password is a login. Needs the scope test.',
  },
  {
    displayName: 'If One Is Not Alive',
    name: 'onNotAlive',
    type: 'options',
    options: [
      { name: 'Fail', value: 'fail', description: 'The item fails, with the list of those that are not alive' },
      { name: 'Return the Result', value: 'return', description: 'The item goes on with alive: false, for an IF node' },
    ],
    default: 'fail',
    description: 'What happens when at least one of them is not alive',
  },
];

/** Checks that all of them are alive until then, and fails with the list otherwise. Needs the scope list. */
export const checkOperation: Operation = {
  option: {
    name: 'Check',
    value: 'check',
    action: 'Check that credentials are alive',
    description:
      'One item that says whether all of them will be usable for so long, and of each why or why not; fails with the list otherwise. Needs the scope list.',
  },
  properties,
  run: async ({ context, operator, itemIndex }) => {
    const parameter = (name: string, fallback: unknown): unknown => context.getNodeParameter(name, itemIndex, fallback);
    const signal = context.getExecutionCancelSignal();
    const selection = parameter('selection', 'list');
    const item = await preflightCheck(operator, {
      selection,
      chosen: parameter(selection === 'list' ? 'credentialIds' : 'ids', []),
      filters: parameter('filters', {}),
      scopeId: parameter('scopeId', ''),
      minutes: parameter('minutes', 120),
      refresh: parameter('refresh', false) === true,
      test: parameter('test', false) === true,
      fails: parameter('onNotAlive', 'fail') !== 'return',
      ...(signal && { signal }),
    });
    return [item];
  },
};
