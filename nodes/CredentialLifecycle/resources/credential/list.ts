import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { filterFrom, listUpTo } from '../../../../src/n8n/operator.ts';
import { credentialItem } from '../../../../src/n8n/output.ts';
import { filters } from '../filters.ts';
import type { Operation } from '../operation.ts';

const properties: INodeProperties[] = [
  {
    displayName: 'Return All',
    name: 'returnAll',
    type: 'boolean',
    default: false,
    description: 'Whether to return all results or only up to a given limit',
  },
  {
    displayName: 'Limit',
    name: 'limit',
    type: 'number',
    typeOptions: { minValue: 1 },
    default: 50,
    description: 'Max number of results to return',
    displayOptions: { show: { returnAll: [false] } },
  },
  filters,
];

/** Credentials with their state, expiry and next action. Needs the scope list. */
export const listOperation: Operation = {
  option: {
    name: 'List',
    value: 'list',
    action: 'List credentials',
    description: 'Credentials with their state, expiry and next action, one item each. Needs the scope list.',
  },
  properties,
  run: async ({ context, operator, itemIndex }) => {
    const filter = filterFrom(context.getNodeParameter('filters', itemIndex, {}));
    const credentials = await listUpTo(operator, filter, limitOf(context, itemIndex));
    return credentials.map(credentialItem);
  },
};

function limitOf(context: IExecuteFunctions, itemIndex: number): number {
  if (context.getNodeParameter('returnAll', itemIndex, false)) return Number.POSITIVE_INFINITY;
  const limit: unknown = context.getNodeParameter('limit', itemIndex, 50);
  return typeof limit === 'number' && limit >= 1 ? Math.floor(limit) : 50;
}
