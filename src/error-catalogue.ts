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
  ERR_CREDENTIAL_PROTOCOL_MISMATCH: {
    kind: 'configuration',
    action: 'Choose a credential of the protocol that the message names.',
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
  ERR_OAUTH2_STORE_ROLLED_BACK: {
    kind: 'reauthorization',
    action:
      'The database was put back to an older state after this grant had been refreshed, so its token is spent. Put the newer database back, or authorize the credential again.',
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
  ERR_LDAP_INVALID_CREDENTIALS: {
    kind: 'configuration',
    action: 'Check bind DN and password. It is not tried again by itself: each try counts towards a lockout.',
  },
  ERR_LDAP_PASSWORD_EXPIRED: {
    kind: 'reauthorization',
    action: 'The password of the account has expired. Set a new one at the directory and update the credential.',
  },
  ERR_LDAP_PASSWORD_MUST_CHANGE: {
    kind: 'reauthorization',
    action: 'The directory wants the password changed before anything else. Set a new one and update the credential.',
  },
  ERR_LDAP_ACCOUNT_LOCKED: {
    kind: 'reauthorization',
    action: 'Find out what locked the account, unlock it at the directory, then refresh the credential.',
  },
  ERR_LDAP_ACCOUNT_DISABLED: {
    kind: 'reauthorization',
    action: 'Enable the account at the directory, then refresh the credential.',
  },
  ERR_LDAP_ACCOUNT_EXPIRED: {
    kind: 'reauthorization',
    action: 'Move the end of the account at the directory, then refresh the credential.',
  },
  ERR_LDAP_LOGIN_RESTRICTED: {
    kind: 'reauthorization',
    action: 'The directory allows this login at other hours or from other machines only. Change that there.',
  },
  ERR_LDAP_TLS_FAILED: {
    kind: 'configuration',
    action:
      'No password was sent. Check that the server offers TLS, that its certificate names this host and has not expired, and that ca holds its authority.',
  },
  ERR_LDAP_REFERRAL: {
    kind: 'configuration',
    action: 'Referrals are not followed with credentials. Give the server that holds the entries.',
  },
  ERR_LDAP_REQUEST_REFUSED: {
    kind: 'configuration',
    action: 'Check base DN, filter and the rights of the account against the result that the message names.',
  },
  ERR_LDAP_RESPONSE_INVALID: {
    kind: 'protocol',
    action: 'The answer is not what RFC 4511 requires, or larger than allowed. Check that the URL is an LDAP server.',
  },
  ERR_LDAP_POOL_EXHAUSTED: {
    kind: 'transient',
    action: 'All connections were in use for too long. Use fewer at once, or raise maxConnections or acquireTimeoutMs.',
  },
  ERR_BASIC_REFUSED: {
    kind: 'configuration',
    action: 'Check user name and password, and the test URL with its rule. It is not tried again by itself.',
  },
  ERR_BASIC_WEBHOOK_REFUSED: {
    kind: 'configuration',
    action: 'Check rotationWebhookUrl and webhookSecret; what it has to answer is in docs/basic.md.',
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
  ERR_ROTATION_UNSUPPORTED: {
    kind: 'configuration',
    action: 'Replace the secret at the other side and register it anew; this protocol cannot do that by itself.',
  },
  ERR_ROTATION_NOTHING_TO_ROLL_BACK: {
    kind: 'configuration',
    action: 'The value before is not there any more. Rotate the credential instead.',
  },
  ERR_ROTATION_IN_PROGRESS: {
    kind: 'transient',
    action: 'The secret of this credential is being replaced. Try again in a few seconds.',
  },
  ERR_ROTATION_CANDIDATE_REFUSED: {
    kind: 'configuration',
    action: 'The other side refused a new secret; another one is tried by itself. Check its rules for secrets.',
  },
  ERR_ROTATION_CANDIDATES_EXHAUSTED: {
    kind: 'configuration',
    action:
      'The old secret stays in use. Make the rules for new secrets here and at the other side agree, then run "credlife rotate".',
  },
  ERR_ROTATION_PRINCIPAL_IS_ROTATED: {
    kind: 'configuration',
    action: 'Give a second principal that is another account than the one whose secret is replaced.',
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
  ERR_N8N_KEY_REFUSED: {
    kind: 'configuration',
    action:
      'Make an API key in n8n (Settings, n8n API) with the scopes credential:list and credential:read, and put it into the file that CREDLIFE_N8N_API_KEY_FILE names.',
  },
  ERR_N8N_SCOPE_MISSING: {
    kind: 'configuration',
    action:
      'Give the API key the scopes credential:list and credential:read in n8n (Settings, n8n API). It needs no others.',
  },
  ERR_N8N_API_MISSING: {
    kind: 'configuration',
    action:
      'Check CREDLIFE_N8N_URL, which is what a browser opens, and that n8n runs without N8N_PUBLIC_API_DISABLED=true.',
  },
  ERR_N8N_ANSWER_INVALID: {
    kind: 'protocol',
    action: 'Check that CREDLIFE_N8N_URL leads to n8n itself, not to a sign-in page before it.',
  },
  ERR_N8N_NOT_CONNECTED: {
    kind: 'configuration',
    action: 'Set CREDLIFE_N8N_URL and CREDLIFE_N8N_API_KEY_FILE to that n8n, as for "credlife watch n8n".',
  },
  ERR_N8N_WATCHED_ONLY: {
    kind: 'configuration',
    action:
      'Use it in n8n itself. To have it kept alive here, register it with "credlife register" and use "Managed Credential" in n8n.',
  },
  ERR_N8N_CREDENTIAL_GONE: {
    kind: 'configuration',
    action:
      'It was deleted in n8n, or the owner of the API key does not see it any more. Watching forgets it by itself.',
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
  ERR_PREFLIGHT_NOT_ALIVE: {
    kind: 'reauthorization',
    action: 'Do for each credential in the list what stands beside it, then check again.',
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
