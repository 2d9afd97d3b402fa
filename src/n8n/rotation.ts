import type { IDataObject } from 'n8n-workflow';
import type { CredentialSummary } from '../client.ts';
import { errorOfCode, TransientError, type CredentialError } from '../errors.ts';
import { ItemError } from './errors.ts';
import { credentialItem } from './output.ts';

/**
 * A credential after its secret was to be replaced, or put back. The engine says by its state how that went; in a workflow an item
 * that came through means that it is done.
 *
 * @throws ItemError with the code of the rotation's failure while another secret is not in use, also where it is tried again by itself;
 *   its item is the credential
 */
export function rotatedItem(summary: CredentialSummary): IDataObject {
  const item = credentialItem(summary);
  const { state } = summary.rotation;
  if (state === 'idle' || state === 'overlapping') return item;
  const failure = failureOf(summary);
  throw new ItemError(failure, { description: failure.action, item });
}

function failureOf({ id: credentialId, rotation: { failure } }: CredentialSummary): CredentialError {
  return failure === null
    ? new TransientError('ERR_ROTATION_IN_PROGRESS', 'The secret of this credential is being replaced.', {
        credentialId,
      })
    : errorOfCode(failure.code, failure.message, { credentialId });
}
