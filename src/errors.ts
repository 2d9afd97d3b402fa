/**
 * Every error that leaves this package has a stable `code` out of this catalogue, one plain sentence that holds no
 * secret, and `action`: what to do next. `docs/errors.md` is the same table; a test keeps the two equal.
 */
export type ErrorKind =
  'configuration' | 'reauthorization' | 'transient' | 'protocol' | 'storage' | 'keyRing' | 'access' | 'internal';

interface CatalogueEntry {
  readonly kind: ErrorKind;
  readonly action: string;
}

export const ERROR_CATALOGUE = {
  ERR_CONFIG_MALFORMED: { kind: 'configuration', action: 'Correct the named field and try again.' },
  ERR_CONFIG_UNKNOWN_PROTOCOL: { kind: 'configuration', action: 'Use one of the protocols that the message lists.' },
  ERR_CONFIG_MASTER_KEY_MISSING: {
    kind: 'configuration',
    action:
      'Run "credlife init", or set CREDLIFE_MASTER_KEY_FILE, CREDLIFE_MASTER_KEY or CREDLIFE_PASSPHRASE_FILE to the key of this database.',
  },
  ERR_CONFIG_MASTER_KEY_MALFORMED: {
    kind: 'configuration',
    action: 'Give 32 bytes as 64 hexadecimal digits or as base64.',
  },
  ERR_CONFIG_SECRET_IN_ARGUMENT: {
    kind: 'configuration',
    action: 'Give secrets by prompt, on standard input, from a file or in an environment variable.',
  },
  ERR_CONFIG_FILE_UNREADABLE: { kind: 'configuration', action: 'Check that the file exists and may be read.' },
  ERR_CREDENTIAL_NOT_FOUND: {
    kind: 'configuration',
    action: 'Run "credlife list" to see which credentials exist.',
  },
  ERR_CREDENTIAL_MISCONFIGURED: {
    kind: 'configuration',
    action: 'Correct the configuration or the secret with "credlife update"; it is tried again at once.',
  },
  ERR_CREDENTIAL_REVOKED: {
    kind: 'reauthorization',
    action: 'A revoked credential stays revoked. Register a new one.',
  },
  ERR_CREDENTIAL_REVOKED_UPSTREAM: {
    kind: 'reauthorization',
    action: 'The other side ended this credential. Register a new one.',
  },
  ERR_CREDENTIAL_NEEDS_USER: {
    kind: 'reauthorization',
    action:
      'No retry can bring this grant back. Sign in again with "credlife authorize", or give it a new one with "credlife update".',
  },
  ERR_CREDENTIAL_NOT_AUTHORIZED: {
    kind: 'reauthorization',
    action: 'A person has to sign in: run "credlife authorize" with its id, and open the link that it shows.',
  },
  ERR_AUTHORIZATION_UNSUPPORTED: {
    kind: 'configuration',
    action:
      'Nobody signs in for this credential. Register one with a grant type that a person gives, if that is meant.',
  },
  ERR_AUTHORIZATION_UNKNOWN: {
    kind: 'reauthorization',
    action:
      'Nothing was changed. Begin again with "credlife authorize", and answer with the page that its link led to.',
  },
  ERR_AUTHORIZATION_REPLAYED: {
    kind: 'reauthorization',
    action: 'Each answer counts once and nothing was changed. Look at the credential; if it needs you, begin again.',
  },
  ERR_AUTHORIZATION_EXPIRED: {
    kind: 'reauthorization',
    action: 'Nothing was changed. Begin again with "credlife authorize" and sign in before the time is over.',
  },
  ERR_AUTHORIZATION_DENIED: {
    kind: 'reauthorization',
    action: 'Nothing was changed. Begin again with "credlife authorize" and allow the access that it asks for.',
  },
  ERR_AUTHORIZATION_REFUSED: {
    kind: 'configuration',
    action: 'Check redirect URI, scopes and what the client may use at the authorization server; then begin again.',
  },
  ERR_AUTHORIZATION_ISSUER_MISMATCH: {
    kind: 'reauthorization',
    action:
      'The answer came from another server than the one that was asked: somebody may be mixing them up. Begin again.',
  },
  ERR_AUTHORIZATION_INVALID: {
    kind: 'reauthorization',
    action: 'The answer is not one that the authorization server gives. Nothing was changed; begin again.',
  },
  ERR_AUTHORIZATION_INTERRUPTED: {
    kind: 'reauthorization',
    action: 'The code of the sign-in was sent and its answer was lost, so the code is spent. Sign in once more.',
  },
  ERR_CREDENTIAL_UNREADABLE: {
    kind: 'keyRing',
    action: 'Restore the credential from a backup, or register it again.',
  },
  ERR_ACCESS_DENIED: {
    kind: 'access',
    action: 'Check the credential id and the access key; "credlife grant" issues a new key.',
  },
  ERR_ACCESS_SCOPE_MISSING: {
    kind: 'access',
    action: 'Issue an access key with the scope that the message names.',
  },
  ERR_OAUTH2_INVALID_CLIENT: {
    kind: 'configuration',
    action: 'Check client id, client secret and the way of client authentication at the authorization server.',
  },
  ERR_OAUTH2_INVALID_GRANT: {
    kind: 'reauthorization',
    action:
      'The authorization server refused the grant. Sign in again with "credlife authorize", or give a new one with "credlife update".',
  },
  ERR_OAUTH2_AMBIGUOUS_REFRESH: {
    kind: 'reauthorization',
    action:
      'A refresh was interrupted after it was sent and its answer was lost; the grant is gone. Authorize again, and set reuseGraceMs if the server has a reuse grace window.',
  },
  ERR_OAUTH2_NO_REFRESH_TOKEN: {
    kind: 'reauthorization',
    action: 'The server gave no refresh token at the sign-in. Ask for one (docs/oauth2.md) and authorize again.',
  },
  ERR_OAUTH2_ENDPOINT_MISSING: {
    kind: 'configuration',
    action: 'Give the endpoint that the message names, or an issuer whose metadata has it.',
  },
  ERR_OAUTH2_PKCE_UNSUPPORTED: {
    kind: 'configuration',
    action: 'The server offers no PKCE with S256, without which a stolen code is worth something. Use another server.',
  },
  ERR_OAUTH2_TOKEN_NOT_BOUND: {
    kind: 'configuration',
    action: 'The server gave a plain bearer token. Turn DPoP on at the server for this client, or take "dpop" out.',
  },
  ERR_OAUTH2_REQUEST_REFUSED: {
    kind: 'configuration',
    action: 'Check scopes, grant type and endpoint against what the client may use at the authorization server.',
  },
  ERR_OAUTH2_DISCOVERY_FAILED: {
    kind: 'configuration',
    action: 'Check the issuer URL, or give the token endpoint instead of an issuer.',
  },
  ERR_OAUTH2_RESPONSE_INVALID: {
    kind: 'protocol',
    action: 'The answer is not what RFC 6749 requires. Check that the URL is the token endpoint.',
  },
  ERR_ENDPOINT_UNREACHABLE: {
    kind: 'transient',
    action: 'Check address, network and certificate of the endpoint; it is tried again by itself.',
  },
  ERR_ENDPOINT_CONNECTION_LOST: {
    kind: 'transient',
    action: 'The connection broke before the answer came; it is tried again by itself.',
  },
  ERR_ENDPOINT_TIMEOUT: {
    kind: 'transient',
    action: 'The endpoint did not answer in time; it is tried again by itself.',
  },
  ERR_ENDPOINT_UNAVAILABLE: {
    kind: 'transient',
    action: 'The endpoint answered with an error of its own; it is tried again by itself.',
  },
  ERR_ENDPOINT_RATE_LIMITED: {
    kind: 'transient',
    action: 'The endpoint asks for fewer requests; it is tried again after the time that it named.',
  },
  ERR_ENDPOINT_CIRCUIT_OPEN: {
    kind: 'transient',
    action:
      'Nothing was sent: the endpoint failed several times in a row and is left alone until the time named. One request then tries it; look at its address, network and state.',
  },
  ERR_ENDPOINT_PAUSED: {
    kind: 'transient',
    action: 'Nothing was sent: the endpoint asked for a pause. It is tried again by itself when the pause is over.',
  },
  ERR_ENDPOINT_BUDGET_SPENT: {
    kind: 'transient',
    action:
      'Nothing was sent: the request budget of this endpoint is spent. It is tried again by itself when the budget allows; raise the budget if the other side allows more.',
  },
  ERR_APP_REFUSED: {
    kind: 'transient',
    action:
      'Nothing more was sent: the other side refuses the app (client) that this credential shares with the one that the message names. Correct the app there; this credential follows by itself.',
  },
  ERR_ENDPOINT_RESPONSE_TOO_LARGE: {
    kind: 'protocol',
    action: 'The answer is larger than 1 MiB. Check that the URL is the right endpoint.',
  },
  ERR_ENDPOINT_REDIRECTED: {
    kind: 'configuration',
    action: 'Redirects are not followed with secrets. Give the final URL.',
  },
  ERR_ENDPOINT_ADDRESS_REFUSED: {
    kind: 'configuration',
    action:
      'Check the URL. If it is meant, let the operator list its host in the engine option outbound.allowedHosts; link-local and cloud-metadata addresses stay refused.',
  },
  ERR_CLOCK_SKEWED: {
    kind: 'transient',
    action: "Set the clock of this machine, best by NTP; it is tried again by itself, with the server's time.",
  },
  ERR_REFRESH_IN_PROGRESS: {
    kind: 'transient',
    action: 'Another process is refreshing this credential. Try again in a few seconds.',
  },
  ERR_REFRESH_HELD_UP: {
    kind: 'transient',
    action:
      'This process was too busy to send the request while it had the right to; it is tried again by itself. If it happens often, give it more CPU or a faster disk.',
  },
  ERR_STORE_UNAVAILABLE: {
    kind: 'storage',
    action: 'Check that the database can be reached, that its folder exists and may be written, and that it has room.',
  },
  ERR_STORE_DRIVER_MISSING: {
    kind: 'configuration',
    action: 'Install the package that the message names beside this one.',
  },
  ERR_STORE_CORRUPT: { kind: 'storage', action: 'The file is not an intact database. Restore it from a backup.' },
  ERR_STORE_FOREIGN: { kind: 'storage', action: 'Name a file of its own for the credentials; nothing was changed.' },
  ERR_STORE_SCHEMA_TOO_NEW: {
    kind: 'storage',
    action: 'The database was written by a newer version. Use that version or a newer one.',
  },
  ERR_STORE_RECORD_INVALID: { kind: 'storage', action: 'Restore this record from a backup; the others are untouched.' },
  ERR_STORE_ROLLED_BACK: {
    kind: 'storage',
    action:
      'The database is older than what its anchor has seen. Put the newer file back; if an older one was restored on purpose, accept it once with acceptOlderStore.',
  },
  ERR_STORE_EXISTS: {
    kind: 'storage',
    action: 'Nothing was changed. Name another file, or use --force to replace this one.',
  },
  ERR_STORE_IN_USE: {
    kind: 'storage',
    action: 'Nothing was changed. Stop every process that has this database open, then try again.',
  },
  ERR_STORE_BACKUP_UNSUPPORTED: {
    kind: 'storage',
    action: 'Use the backup tools of the database server itself; its backups are sealed as well.',
  },
  ERR_STORE_CONFLICT: { kind: 'storage', action: 'The record was changed meanwhile. Read it again and retry.' },
  ERR_STORE_DUPLICATE: { kind: 'storage', action: 'A record with this id exists. Use update, or another id.' },
  ERR_KEYRING_MASTER_KEY_MISMATCH: {
    kind: 'keyRing',
    action:
      'Nothing was changed. Give the master key or passphrase that this database had last. In n8n that is N8N_ENCRYPTION_KEY as it was: put it back, or open the database once with the old key and run "credlife key change-passphrase".',
  },
  ERR_KEYRING_KEY_UNKNOWN: {
    kind: 'keyRing',
    action: 'The data key of this value is not in the key ring. Restore the database from a backup that has it.',
  },
  ERR_KEYRING_ENVELOPE_MALFORMED: { kind: 'keyRing', action: 'The sealed value is damaged. Restore it from a backup.' },
  ERR_KEYRING_AUTHENTICATION_FAILED: {
    kind: 'keyRing',
    action: 'The sealed value was altered, moved or rolled back. Restore it from a backup.',
  },
  ERR_KEYRING_KEY_EXHAUSTED: {
    kind: 'keyRing',
    action: 'Run "credlife key rotate" with the master key that this database has now, then restart what runs on it.',
  },
  ERR_KEYRING_PARAMETERS_REFUSED: {
    kind: 'keyRing',
    action: 'The key derivation parameters are outside the allowed bounds. Restore the key ring from a backup.',
  },
  ERR_SANDBOX_UNAVAILABLE: {
    kind: 'configuration',
    action: 'The sandbox needs the development dependencies. Run it from a source checkout with "npm start".',
  },
  ERR_INSPECT_PORT_TAKEN: {
    kind: 'configuration',
    action: 'End the other program, or choose another port with --port or in CREDLIFE_INSPECT.',
  },
  ERR_SANDBOX_PORT_TAKEN: {
    kind: 'configuration',
    action:
      'End the other sandbox of this folder, or remove the folder "sandbox" and the credentials in it to begin anew.',
  },
  ERR_WEBHOOK_NOT_FOUND: {
    kind: 'configuration',
    action: 'Run "credlife webhook list" to see which webhooks exist.',
  },
  ERR_WEBHOOK_REFUSED: {
    kind: 'protocol',
    action: 'Look into the log of the receiver: it is there and refuses the request. Its key may be an old one.',
  },
  ERR_USAGE: { kind: 'configuration', action: 'Run "credlife help" to see commands and options.' },
  ERR_NODE_TOO_OLD: { kind: 'configuration', action: 'Install the Node.js version that the message names, or newer.' },
  ERR_ENGINE_CLOSED: { kind: 'internal', action: 'Open a new engine.' },
  ERR_INTERNAL: { kind: 'internal', action: 'This is a fault of the engine. Report it with the code and the log.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;
export type CodeOfKind<Kind extends ErrorKind> = {
  [Code in ErrorCode]: (typeof ERROR_CATALOGUE)[Code]['kind'] extends Kind ? Code : never;
}[ErrorCode];

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
