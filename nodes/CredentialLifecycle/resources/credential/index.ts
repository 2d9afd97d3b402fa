import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { operatorFor, unknownOperation } from '../../../../src/n8n/operator.ts';
import { getOperation } from './get.ts';
import { listOperation } from './list.ts';
import type { Operation } from './operation.ts';
import { refreshOperation } from './refresh.ts';
import { revokeOperation } from './revoke.ts';
import { rollbackOperation } from './rollback.ts';
import { rotateOperation } from './rotate.ts';
import { testOperation } from './test.ts';
import { useOperation } from './use.ts';

const operations: readonly Operation[] = [
  getOperation,
  listOperation,
  refreshOperation,
  revokeOperation,
  rollbackOperation,
  rotateOperation,
  testOperation,
  useOperation,
];

/** Runs the operation that the node holds for one item. */
export async function runOperation(context: IExecuteFunctions, itemIndex: number): Promise<IDataObject[]> {
  const name: unknown = context.getNodeParameter('operation', itemIndex);
  const operation = operations.find(({ option }) => option.value === name);
  if (!operation) throw unknownOperation();
  return operation.run({ context, operator: await operatorFor(context, itemIndex), itemIndex });
}

/** What the node asks for when its resource is `credential`. */
export const credentialProperties: INodeProperties[] = [
  {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    displayOptions: { show: { resource: ['credential'] } },
    options: operations.map(({ option }) => option),
    default: 'list',
  },
  ...operations.flatMap(({ properties }) => properties),
];
