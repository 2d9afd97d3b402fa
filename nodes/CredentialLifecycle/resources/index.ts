import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { operatorFor, unknownOperation } from '../../../src/n8n/operator.ts';
import { credentialResource } from './credential/index.ts';
import { deviceAuthorizationResource } from './deviceAuthorization/index.ts';
import { preFlightResource } from './preFlight/index.ts';
import { reportResource } from './report/index.ts';
import { propertiesOf, type Resource } from './resource.ts';

const RESOURCES: readonly Resource[] = [
  credentialResource,
  deviceAuthorizationResource,
  preFlightResource,
  reportResource,
];

/** What the node asks for. */
export const properties = propertiesOf(RESOURCES, 'credential');

/** Runs the operation that the node holds for one item. */
export async function runOperation(context: IExecuteFunctions, itemIndex: number): Promise<IDataObject[]> {
  const resource: unknown = context.getNodeParameter('resource', itemIndex);
  const name: unknown = context.getNodeParameter('operation', itemIndex);
  const operation = RESOURCES.find(({ option }) => option.value === resource)?.operations.find(
    ({ option }) => option.value === name,
  );
  if (!operation) throw unknownOperation();
  return operation.run({ context, operator: await operatorFor(context, itemIndex), itemIndex });
}
