import type { IDataObject } from 'n8n-workflow';
import type { AwaitOptions, DeviceAuthorization, DeviceAuthorizationOutcome } from '../client.ts';
import { ConfigurationError } from '../errors.ts';
import { credentialItem } from './output.ts';

/** A sign-in that has begun, for the person who is to sign in. The device code is not in there. */
export function startedItem(begun: DeviceAuthorization): IDataObject {
  const { credentialId, authorizationId, userCode, verificationUri, verificationUriComplete, expiresAt } = begun;
  return {
    ...{ credentialId, authorizationId, userCode, verificationUri, verificationUriComplete },
    expiresAt: expiresAt.toISOString(),
  };
}

export function outcomeItem({ status, credential, advice }: DeviceAuthorizationOutcome): IDataObject {
  return { status, advice, credential: credentialItem(credential) };
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function awaitOptionsFrom(limitMinutes: unknown, signal: AbortSignal | undefined): AwaitOptions {
  if (typeof limitMinutes === 'number' && Number.isFinite(limitMinutes) && limitMinutes >= 0)
    return { limitMs: limitMinutes * 60_000, ...(signal && { signal }) };
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "limitMinutes" is no number of minutes.');
}
