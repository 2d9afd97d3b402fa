import { isCredentialError } from '../../src/errors.ts';

/** Code of the error that an operation throws; `'none'` when it throws nothing. Other errors are thrown on. */
export function codeOf(operation: () => unknown): string {
  try {
    operation();
    return 'none';
  } catch (error) {
    if (isCredentialError(error)) return error.code;
    throw error;
  }
}

/** The error that a promise is rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('Expected a rejection.');
    },
    (error: unknown) => error,
  );
}

/** Code of the error that a promise is rejected with; `'none'` when it is not. Other errors are thrown on. */
export async function rejectedCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    if (isCredentialError(error)) return error.code;
    throw error;
  }
}
