import type { IDataObject } from 'n8n-workflow';
import type { CredentialSummary } from '../client.ts';
import { errorOfCode, TransientError, type CredentialError, type ErrorCode } from '../errors.ts';
import { ItemError } from './errors.ts';
import { credentialItem } from './output.ts';

/**
 * A credential after it was to be refreshed. The engine says by its state how that went; in a workflow an item that came through
 * means that it is done.
 *
 * @throws ItemError with the code of the failure, also where it is tried again by itself; its item is the credential
 */
export function refreshedItem(summary: CredentialSummary): IDataObject {
  if (summary.failure === null) return credentialItem(summary);
  throw failedWith(summary.failure, summary);
}

/**
 * A credential after its secret was to be replaced, or put back.
 *
 * @throws ItemError with the code of the rotation's failure while another secret is not in use, also where it is tried again by itself;
 *   its item is the credential
 */
export function rotatedItem(summary: CredentialSummary): IDataObject {
  const { state, failure } = summary.rotation;
  if (state === 'idle' || state === 'overlapping') return credentialItem(summary);
  throw failure === null ? underWay(summary) : failedWith(failure, summary);
}

function underWay(summary: CredentialSummary): ItemError {
  const { id: credentialId } = summary;
  const sentence = 'The secret of this credential is being replaced.';
  return itemError(new TransientError('ERR_ROTATION_IN_PROGRESS', sentence, { credentialId }), summary);
}

function failedWith(
  failure: { readonly code: ErrorCode; readonly message: string },
  summary: CredentialSummary,
): ItemError {
  return itemError(errorOfCode(failure.code, failure.message, { credentialId: summary.id }), summary);
}

function itemError(error: CredentialError, summary: CredentialSummary): ItemError {
  return new ItemError(error, { description: error.action, item: credentialItem(summary) });
}
