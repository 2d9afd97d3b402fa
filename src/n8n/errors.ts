import {
  NodeApiError,
  NodeOperationError,
  UserError,
  type IDataObject,
  type INode,
  type INodeExecutionData,
} from 'n8n-workflow';
import { ERROR_CATALOGUE, toCredentialError, type CredentialError } from '../errors.ts';
import { textForHost } from './host-texts.ts';

/** What n8n shows of an error: `message` everywhere, `description` in executions. Both are stored with the execution. */
interface Shown {
  readonly message: string;
  readonly description: string;
}

/**
 * For credential types, which know no node: n8n wraps it and keeps both texts. It carries no cause and no status, because
 * n8n stores the one and replaces the message for the other.
 */
export function toHostError(error: unknown): UserError {
  const { message, description } = shown(toCredentialError(error));
  return new UserError(message, { description });
}

/** A failure of one item that has more to say than its sentence: a list for people, and the item that it would have been. */
export class ItemError extends Error {
  readonly failure: CredentialError;
  readonly description: string;
  readonly item: IDataObject;

  constructor(
    failure: CredentialError,
    { description, item }: { readonly description: string; readonly item: IDataObject },
  ) {
    super(failure.message);
    this.name = 'ItemError';
    this.failure = failure;
    this.description = description;
    this.item = item;
  }
}

/** For nodes: `NodeApiError` when the other side failed, `NodeOperationError` when somebody here has to act. */
export function toNodeError(node: INode, error: unknown, itemIndex: number): NodeApiError | NodeOperationError {
  const failure = toCredentialError(error instanceof ItemError ? error.failure : error);
  const { message, description } = {
    ...shown(failure),
    ...(error instanceof ItemError && { description: error.description }),
  };
  return isOfOtherSide(failure)
    ? new NodeApiError(node, { message, description }, { message, description, itemIndex })
    : new NodeOperationError(node, message, { description, itemIndex });
}

/** For triggers, which have no item: what a person has to do before the workflow can be active. */
export function toTriggerError(node: INode, error: unknown): NodeOperationError {
  const { message, description } = shown(toCredentialError(error));
  return new NodeOperationError(node, message, { description });
}

/** The item that a failed one becomes with "Continue On Fail". */
export function failedItem(error: unknown): IDataObject {
  const { message, code, action } = toCredentialError(error instanceof ItemError ? error.failure : error);
  return { ...(error instanceof ItemError && error.item), error: message, code, action };
}

/**
 * The same with what n8n needs to know where it goes. To the error output it sends what has an `error`; in the regular output
 * it would replace the item by that error's message, and code and action would be lost.
 */
export function failedOutput(node: INode, error: unknown, itemIndex: number): INodeExecutionData {
  const item = { json: failedItem(error), pairedItem: { item: itemIndex } };
  return node.onError === 'continueErrorOutput' ? { ...item, error: toNodeError(node, error, itemIndex) } : item;
}

/** The one line that a credential test shows. */
export function describeError(error: unknown): string {
  return toCredentialError(error).describe();
}

function shown({ message, code, action }: CredentialError): Shown {
  return { message: `${textForHost(message)} [${code}]`, description: action };
}

function isOfOtherSide({ code }: CredentialError): boolean {
  const { kind } = ERROR_CATALOGUE[code];
  return kind === 'transient' || kind === 'protocol';
}
