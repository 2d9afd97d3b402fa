import type { IDataObject, IExecuteFunctions, INodeProperties, INodePropertyOptions } from 'n8n-workflow';
import type { OperatorHandle, UseOptions } from '../../../src/n8n/operator.ts';

/** One operation of a resource: how it is offered, what it asks for, and what it does for one item. */
export interface Operation {
  readonly option: INodePropertyOptions;
  /** What it asks for; shown with this operation alone. */
  readonly properties: readonly INodeProperties[];
  readonly run: (call: OperationCall) => Promise<IDataObject[]>;
}

export interface OperationCall {
  readonly context: IExecuteFunctions;
  readonly operator: OperatorHandle;
  readonly itemIndex: number;
}

/** The picker of the credential that an operation is about. */
export const credentialLocator: INodeProperties = {
  displayName: 'Credential',
  name: 'credentialId',
  type: 'resourceLocator',
  required: true,
  default: { mode: 'list', value: '' },
  description: 'The credential of the engine that this is about',
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      placeholder: 'Select a credential…',
      typeOptions: { searchListMethod: 'searchCredentials', searchable: true },
    },
    {
      displayName: 'By ID',
      name: 'id',
      type: 'string',
      placeholder: 'the ID that "credlife list" shows',
      validation: [{ type: 'regex', properties: { regex: '\\S+', errorMessage: 'Enter the ID of a credential' } }],
    },
  ],
};

export function credentialIdOf({ context, itemIndex }: OperationCall): string {
  const value: unknown = context.getNodeParameter('credentialId', itemIndex, '', { extractValue: true });
  return typeof value === 'string' ? value.trim() : '';
}

/** For the record of uses: which workflow asks, and an end when n8n cancels the execution. */
export function useOptionsOf({ context }: OperationCall): UseOptions {
  const signal = context.getExecutionCancelSignal();
  return { usedBy: { kind: 'n8nWorkflow', id: context.getWorkflow().id ?? '' }, ...(signal && { signal }) };
}
