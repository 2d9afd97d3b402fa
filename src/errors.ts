import { ERROR_CATALOGUE, type CodeOfKind, type ErrorCode, type ErrorKind } from './error-catalogue.ts';

export { ERROR_CATALOGUE, type CodeOfKind, type ErrorCode, type ErrorKind } from './error-catalogue.ts';

export interface ErrorOptions {
  readonly credentialId?: string;
  readonly retryAfterMs?: number;
  /** Only facts without secrets: never the raw error of an HTTP or OAuth library. */
  readonly cause?: unknown;
}

/** Base of all errors of this package. Match on `code`, not on the class: two copies of the package may be loaded. */
export abstract class CredentialError extends Error {
  readonly code: ErrorCode;
  readonly action: string;
  readonly credentialId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.action = ERROR_CATALOGUE[code].action;
    this.credentialId = options.credentialId;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** One line for people: sentence, code, what to do. */
  describe(): string {
    return `${this.message} [${this.code}] ${this.action}`;
  }
}

/** The owner must correct the configuration or the secret. */
export class ConfigurationError extends CredentialError {
  constructor(code: CodeOfKind<'configuration'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A person must authorize again; no retry helps. */
export class ReauthorizationRequiredError extends CredentialError {
  constructor(code: CodeOfKind<'reauthorization'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** It may work later, by itself. `retryAfterMs` is the endpoint's own wish, when it named one. */
export class TransientError extends CredentialError {
  constructor(code: CodeOfKind<'transient'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The other side broke the protocol. */
export class ProtocolError extends CredentialError {
  constructor(code: CodeOfKind<'protocol'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The operator must look after the store. */
export class StorageError extends CredentialError {
  constructor(code: CodeOfKind<'storage'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A key does not fit, or a sealed value is damaged. */
export class KeyRingError extends CredentialError {
  constructor(code: CodeOfKind<'keyRing'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The caller may not do this. An unknown id and a wrong key look the same. */
export class AccessError extends CredentialError {
  constructor(code: CodeOfKind<'access'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A fault of this package. */
export class InternalError extends CredentialError {
  constructor(code: CodeOfKind<'internal'>, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** The error of a stored code: of the class that threw it. */
export function errorOfCode(code: ErrorCode, message: string, options?: ErrorOptions): CredentialError {
  if (isCodeOf('configuration', code)) return new ConfigurationError(code, message, options);
  if (isCodeOf('reauthorization', code)) return new ReauthorizationRequiredError(code, message, options);
  if (isCodeOf('transient', code)) return new TransientError(code, message, options);
  if (isCodeOf('protocol', code)) return new ProtocolError(code, message, options);
  if (isCodeOf('storage', code)) return new StorageError(code, message, options);
  if (isCodeOf('keyRing', code)) return new KeyRingError(code, message, options);
  if (isCodeOf('access', code)) return new AccessError(code, message, options);
  return new InternalError(isCodeOf('internal', code) ? code : 'ERR_INTERNAL', message, options);
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CATALOGUE, code);
}

function isCodeOf<Kind extends ErrorKind>(kind: Kind, code: ErrorCode): code is CodeOfKind<Kind> {
  return ERROR_CATALOGUE[code].kind === kind;
}

/** True for errors of this package, also for those of another loaded copy of it. */
export function isCredentialError(error: unknown): error is CredentialError {
  return Error.isError(error) && 'code' in error && isErrorCode(error.code) && 'action' in error;
}

/** Passes errors of this package through and wraps everything else, so that nothing unknown crosses the public face. */
export function toCredentialError(error: unknown): CredentialError {
  if (isCredentialError(error)) return error;
  const what = Error.isError(error) ? error.name : typeof error;
  return new InternalError('ERR_INTERNAL', `An unexpected ${what} occurred.`, { cause: scrubbed(error) });
}

/** Where an unknown error came from, without its message: a library's message may quote what it was given. */
function scrubbed(error: unknown): object {
  if (!Error.isError(error)) return { type: typeof error };
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  return { name: error.name, ...('code' in error && { code: String(error.code) }), frames };
}
