import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { directoryFor, unknownOperation } from '../../../src/n8n/directory.ts';
import type { Refusals } from '../../../src/n8n/directory-login.ts';
import { authenticateOperation } from './authenticate.ts';
import { getUserOperation } from './get-user.ts';
import type { Operation } from './operation.ts';
import { searchOperation } from './search.ts';

const operations: readonly Operation[] = [authenticateOperation, getUserOperation, searchOperation];

/** Runs the operation that the node holds for one item. */
export async function runOperation(
  context: IExecuteFunctions,
  itemIndex: number,
  refusals: Refusals,
): Promise<IDataObject[]> {
  const name: unknown = context.getNodeParameter('operation', itemIndex);
  const operation = operations.find(({ option }) => option.value === name);
  if (!operation) throw unknownOperation();
  operation.require?.(context);
  return operation.run({ context, directory: await directoryFor(context, itemIndex), itemIndex, refusals });
}

export const operationProperties: INodeProperties[] = [
  {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    options: operations.map(({ option }) => option),
    default: 'search',
  },
  ...operations.flatMap(({ properties }) => properties),
];
