import type { IDataObject, IExecuteFunctions, INodeProperties, INodePropertyOptions } from 'n8n-workflow';
import type { DirectoryHandle } from '../../../src/n8n/directory.ts';
import type { Refusals } from '../../../src/n8n/directory-login.ts';

/** One operation of the node: how it is offered, what it asks for, and what it does for one item. */
export interface Operation {
  readonly option: INodePropertyOptions;
  readonly properties: readonly INodeProperties[];
  /** Refuses what must not begin; called before the directory is asked anything. */
  readonly require?: (context: IExecuteFunctions) => void;
  readonly run: (call: OperationCall) => Promise<IDataObject[]>;
}

export interface OperationCall {
  readonly context: IExecuteFunctions;
  readonly directory: DirectoryHandle;
  readonly itemIndex: number;
  /** Logins that were refused in this execution of the node. */
  readonly refusals: Refusals;
}

/** Ends requests when n8n cancels the execution. */
export function abortable({ context }: OperationCall): { signal?: AbortSignal } {
  const signal = context.getExecutionCancelSignal();
  return signal === undefined ? {} : { signal };
}

/** What an expression gave, as text; an empty one for what cannot be any. */
export function textOf({ context, itemIndex }: OperationCall, name: string): string {
  const value: unknown = context.getNodeParameter(name, itemIndex, '');
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}
