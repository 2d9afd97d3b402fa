import { NodeApiError, NodeOperationError, UserError, type IDataObject, type INode } from 'n8n-workflow';
import { ERROR_CATALOGUE, toCredentialError, type CredentialError } from '../errors.ts';

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

/** The item that a failed one becomes with "Continue On Fail". */
export function failedItem(error: unknown): IDataObject {
  const { message, code, action } = toCredentialError(error instanceof ItemError ? error.failure : error);
  return { ...(error instanceof ItemError && error.item), error: message, code, action };
}

/** The one line that a credential test shows. */
export function describeError(error: unknown): string {
  return toCredentialError(error).describe();
}

function shown({ message, code, action }: CredentialError): Shown {
  return { message: `${message} [${code}]`, description: action };
}

function isOfOtherSide({ code }: CredentialError): boolean {
  const { kind } = ERROR_CATALOGUE[code];
  return kind === 'transient' || kind === 'protocol';
}
