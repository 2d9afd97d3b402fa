import type { PasswordPolicyControl } from 'ldapts';
import { PasswordPolicyError, ResultCodeError } from 'ldapts';
import {
  ConfigurationError,
  isCredentialError,
  ProtocolError,
  ReauthorizationRequiredError,
  TransientError,
  type CredentialError,
} from '../../errors.ts';

/** Why a directory lets an account in no more. They are for the owner of the credential, never for who typed a password. */
export const REFUSAL_REASONS = [
  'invalidCredentials',
  'notPermittedAtThisTime',
  'notPermittedAtThisWorkstation',
  'passwordExpired',
  'accountDisabled',
  'accountExpired',
  'mustChangePassword',
  'accountLocked',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Active Directory's own codes, in the text of result 49: "… data 52e, …". */
const ACTIVE_DIRECTORY_CODES: Readonly<Record<string, RefusalReason>> = {
  '525': 'invalidCredentials',
  '52e': 'invalidCredentials',
  '530': 'notPermittedAtThisTime',
  '531': 'notPermittedAtThisWorkstation',
  '532': 'passwordExpired',
  '533': 'accountDisabled',
  '701': 'accountExpired',
  '773': 'mustChangePassword',
  '775': 'accountLocked',
};

/** Errors of the password policy control (draft-behera-ldap-password-policy §6.2). */
const POLICY_ERRORS: ReadonlyMap<number, RefusalReason> = new Map([
  [PasswordPolicyError.PasswordExpired, 'passwordExpired'],
  [PasswordPolicyError.AccountLocked, 'accountLocked'],
  [PasswordPolicyError.ChangeAfterReset, 'mustChangePassword'],
]);

/** A bind that was answered with a refusal. It never says more to the outside than its reason. */
export class BindRefusedError extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason) {
    super(`The bind was refused: ${reason}.`);
    this.name = 'BindRefusedError';
    this.reason = reason;
  }
}

const RESULT = {
  referral: 10,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  busy: 51,
  unavailable: 52,
} as const;

/** Result codes by the names of RFC 4511 §4.1.9: they tell a person more than a number. */
const RESULT_NAMES: Readonly<Record<number, string>> = {
  1: 'operationsError',
  2: 'protocolError',
  3: 'timeLimitExceeded',
  4: 'sizeLimitExceeded',
  7: 'authMethodNotSupported',
  8: 'strongerAuthRequired',
  11: 'adminLimitExceeded',
  12: 'unavailableCriticalExtension',
  13: 'confidentialityRequired',
  16: 'noSuchAttribute',
  17: 'undefinedAttributeType',
  19: 'constraintViolation',
  21: 'invalidAttributeSyntax',
  32: 'noSuchObject',
  34: 'invalidDNSyntax',
  48: 'inappropriateAuthentication',
  49: 'invalidCredentials',
  50: 'insufficientAccessRights',
  53: 'unwillingToPerform',
  65: 'objectClassViolation',
};

/** What a refused bind means, by the policy control first, then by Active Directory's code. */
export function refusalOfBind(error: ResultCodeError, policy: PasswordPolicyControl): RefusalReason {
  const byPolicy = refusalOfPolicy(policy);
  if (byPolicy !== null) return byPolicy;
  const data = /\bdata ([0-9a-f]{3})\b/i.exec(error.message)?.[1]?.toLowerCase() ?? '';
  return ACTIVE_DIRECTORY_CODES[data] ?? 'invalidCredentials';
}

export function refusalOfPolicy({ value }: PasswordPolicyControl): RefusalReason | null {
  return value?.error === undefined ? null : (POLICY_ERRORS.get(value.error) ?? null);
}

/** Results of a bind that say: not with this name and password. Some servers tell a wrong name apart. */
const REFUSED_BIND: ReadonlySet<number> = new Set([
  RESULT.noSuchObject,
  RESULT.invalidDnSyntax,
  RESULT.inappropriateAuthentication,
  RESULT.invalidCredentials,
]);

export function isRefusedBind(error: unknown): error is ResultCodeError {
  return error instanceof ResultCodeError && REFUSED_BIND.has(error.code);
}

/** The directory's policy does not take this new password; another may do. */
export class PasswordRefusedError extends Error {
  constructor() {
    super('The new password was refused.');
    this.name = 'PasswordRefusedError';
  }
}

const QUALITY_ERRORS: ReadonlySet<number | undefined> = new Set([
  PasswordPolicyError.InsufficientPasswordQuality,
  PasswordPolicyError.PasswordTooShort,
  PasswordPolicyError.PasswordInHistory,
]);
/** ERROR_PASSWORD_RESTRICTION, in Active Directory's text. */
const RESTRICTION = /\b0000052D\b/i;

/** Whether a password modification failed for the new password itself. */
export function refusedPassword(error: unknown, { value }: PasswordPolicyControl): PasswordRefusedError | null {
  if (!(error instanceof ResultCodeError)) return null;
  return QUALITY_ERRORS.has(value?.error ?? -1) || RESTRICTION.test(error.message) ? new PasswordRefusedError() : null;
}

/** A refused login of the credential's own account, as the error of who must act. */
export function refusedAccount(reason: RefusalReason, host: string): CredentialError {
  switch (reason) {
    case 'passwordExpired':
      return needsPerson('ERR_LDAP_PASSWORD_EXPIRED', `${host} says that the password has expired.`);
    case 'mustChangePassword':
      return needsPerson('ERR_LDAP_PASSWORD_MUST_CHANGE', `${host} wants the password changed first.`);
    case 'accountLocked':
      return needsPerson('ERR_LDAP_ACCOUNT_LOCKED', `${host} says that the account is locked.`);
    case 'accountDisabled':
      return needsPerson('ERR_LDAP_ACCOUNT_DISABLED', `${host} says that the account is disabled.`);
    case 'accountExpired':
      return needsPerson('ERR_LDAP_ACCOUNT_EXPIRED', `${host} says that the account has expired.`);
    case 'notPermittedAtThisTime':
    case 'notPermittedAtThisWorkstation':
      return needsPerson('ERR_LDAP_LOGIN_RESTRICTED', `${host} does not permit this login: ${reason}.`);
    case 'invalidCredentials':
      return new ConfigurationError(
        'ERR_LDAP_INVALID_CREDENTIALS',
        `${host} does not accept bind DN and password (invalidCredentials).`,
      );
  }
}

function needsPerson(
  code: ConstructorParameters<typeof ReauthorizationRequiredError>[0],
  message: string,
): ReauthorizationRequiredError {
  return new ReauthorizationRequiredError(code, message);
}

/**
 * Turns what the library or a socket throws into an error of the catalogue. A server's own text may quote what it was
 * given, so nothing of it is kept but the name of its result.
 */
export function translateLdapError(error: unknown, host: string): CredentialError | BindRefusedError {
  if (isCredentialError(error) || error instanceof BindRefusedError) return error;
  if (error instanceof ResultCodeError) return ofResult(error.code, host);
  // Parser and client throw plain errors; only their first words are looked at, none is kept.
  const text = Error.isError(error) ? error.message : '';
  if (/timed out$|^Connection timeout/.test(text)) {
    return new TransientError('ERR_ENDPOINT_TIMEOUT', `${host} did not answer in time.`);
  }
  if (/^(Connection closed|Socket error|Socket connection not established|This connection )/.test(text)) {
    return new TransientError('ERR_ENDPOINT_CONNECTION_LOST', `The connection to ${host} broke.`);
  }
  return new ProtocolError('ERR_LDAP_RESPONSE_INVALID', `${host} gave an answer that cannot be read.`);
}

function ofResult(code: number, host: string): CredentialError {
  if (code === RESULT.referral) {
    return new ConfigurationError('ERR_LDAP_REFERRAL', `${host} refers to another server (referral).`);
  }
  if (code === RESULT.busy || code === RESULT.unavailable) {
    return new TransientError('ERR_ENDPOINT_UNAVAILABLE', `${host} is busy or shutting down.`);
  }
  const name = RESULT_NAMES[code] ?? `result ${String(code)}`;
  return new ConfigurationError('ERR_LDAP_REQUEST_REFUSED', `${host} refused the request: ${name}.`);
}

/** A TLS failure before anything was sent that a listener may not see. */
export function tlsFailed(why: string, host: string): ConfigurationError {
  return new ConfigurationError('ERR_LDAP_TLS_FAILED', `No protected connection to ${host}: ${why}.`);
}
