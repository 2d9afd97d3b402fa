import type { CredentialError } from '../errors.ts';
import type { FailureClass } from './credential.ts';

/** Permanent, transient, configuration or clock, by who must act. */
export function classify(error: CredentialError): FailureClass {
  if (error.code === 'ERR_CLOCK_SKEWED') return 'clock';
  if (error.name === 'ReauthorizationRequiredError') return 'permanent';
  return error.name === 'ConfigurationError' ? 'configuration' : 'transient';
}

/** The request left, but its answer did not come whole: the token may be spent. */
export function isAnswerLost(error: CredentialError): boolean {
  return (
    error.code === 'ERR_ENDPOINT_TIMEOUT' ||
    error.code === 'ERR_ENDPOINT_CONNECTION_LOST' ||
    error.name === 'ProtocolError' ||
    error.name === 'InternalError'
  );
}

/** The server itself failed at the request, perhaps after it had spent the token: a later refusal proves nothing else. */
export function leavesDoubt(error: CredentialError): boolean {
  return error.code === 'ERR_ENDPOINT_UNAVAILABLE';
}
