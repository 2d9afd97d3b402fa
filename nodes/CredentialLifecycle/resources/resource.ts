import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow';
import type { Operation } from './operation.ts';

/** A group of operations. */
export interface Resource {
  readonly option: INodePropertyOptions;
  readonly operations: readonly Operation[];
  /** The operation that a new node has. */
  readonly initial: string;
}

/** The choice of a resource, of its operations, and what each of them asks for. */
export function propertiesOf(resources: readonly Resource[], initial: string): INodeProperties[] {
  return [
    {
      displayName: 'Resource',
      name: 'resource',
      type: 'options',
      noDataExpression: true,
      options: resources.map(({ option }) => option),
      default: initial,
    },
    ...resources.map(operationChoice),
    ...resources.flatMap(({ option, operations }) =>
      operations.flatMap((operation) =>
        operation.properties.map((property) => shownWith(property, option.value, operation.option.value)),
      ),
    ),
  ];
}

function operationChoice({ option, operations, initial }: Resource): INodeProperties {
  return {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    displayOptions: { show: { resource: [option.value] } },
    options: operations.map((operation) => operation.option),
    default: initial,
  };
}

/** The conditions of the field itself stay. */
function shownWith(
  property: INodeProperties,
  resource: INodePropertyOptions['value'],
  operation: INodePropertyOptions['value'],
): INodeProperties {
  const show = { ...property.displayOptions?.show, resource: [resource], operation: [operation] };
  return { ...property, displayOptions: { ...property.displayOptions, show } };
}
