import { ERROR_CATALOGUE, type ErrorCode, type ErrorKind } from '../errors.ts';
import type { LifecycleState } from '../lifecycle/credential.ts';

/** What the exit codes of `credlife` mean: the table of `--help` and of the README. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'done; the credential is valid' },
  unexpected: { code: 1, meaning: 'unexpected failure' },
  usage: { code: 2, meaning: 'usage or malformed input' },
  attention: {
    code: 3,
    meaning: 'the credential is pending, expired or revoked, its test failed, or one is not alive',
  },
  notFound: { code: 4, meaning: 'no such credential, or access denied' },
  store: { code: 5, meaning: 'the database or its master key' },
  unreachable: { code: 6, meaning: 'an endpoint cannot be reached now; later it may' },
} as const;
export type ExitName = keyof typeof EXIT_CODES;

const BY_KIND: Readonly<Record<ErrorKind, ExitName>> = {
  configuration: 'usage',
  reauthorization: 'attention',
  transient: 'unreachable',
  protocol: 'attention',
  storage: 'store',
  keyRing: 'store',
  access: 'notFound',
  internal: 'unexpected',
};

/** Configuration errors that are about the stored credential or the database, not about what was typed. */
const BY_CODE: ReadonlyMap<ErrorCode, ExitName> = new Map([
  ['ERR_CREDENTIAL_NOT_FOUND', 'notFound'],
  ['ERR_CONFIG_MASTER_KEY_MISSING', 'store'],
  ['ERR_CONFIG_MASTER_KEY_MALFORMED', 'store'],
  ['ERR_CREDENTIAL_MISCONFIGURED', 'attention'],
  ['ERR_AUTHORIZATION_REFUSED', 'attention'],
  ['ERR_OAUTH2_ENDPOINT_MISSING', 'attention'],
  ['ERR_OAUTH2_PKCE_UNSUPPORTED', 'attention'],
  ['ERR_OAUTH2_TOKEN_NOT_BOUND', 'attention'],
  ['ERR_OAUTH2_INVALID_CLIENT', 'attention'],
  ['ERR_ROTATION_CANDIDATE_REFUSED', 'attention'],
  ['ERR_ROTATION_CANDIDATES_EXHAUSTED', 'attention'],
  ['ERR_ROTATION_PRINCIPAL_IS_ROTATED', 'attention'],
  ['ERR_OAUTH2_REQUEST_REFUSED', 'attention'],
  ['ERR_OAUTH2_DISCOVERY_FAILED', 'attention'],
  ['ERR_ENDPOINT_REDIRECTED', 'attention'],
]);

export function exitCodeOfError(code: ErrorCode): number {
  return EXIT_CODES[BY_CODE.get(code) ?? BY_KIND[ERROR_CATALOGUE[code].kind]].code;
}

export function exitCodeOfState(state: LifecycleState): number {
  return state === 'valid' || state === 'refreshing' ? EXIT_CODES.ok.code : EXIT_CODES.attention.code;
}

export function exitCodeTable(): string {
  return Object.values(EXIT_CODES)
    .map(({ code, meaning }) => `  ${code}  ${meaning}`)
    .join('\n');
}
