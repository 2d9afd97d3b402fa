import { ConfigurationError } from '../../errors.ts';
import { toJsonObject } from '../../json.ts';
import type { ClientTls } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import type { Issued } from '../protocol.ts';
import type { OAuth2Grant } from './config.ts';
import type { DPoPKey } from './dpop.ts';

/** What tokens are bound to: nobody else can use them. */
export interface Binding {
  readonly dpopKey: DPoPKey | null;
  readonly tls: ClientTls | undefined;
}

/**
 * The grant, together with what its tokens are bound to: they are worth nothing apart.
 *
 * @param tokenType `token_type` as openid-client gives it, in small letters.
 * @throws ConfigurationError `ERR_OAUTH2_TOKEN_NOT_BOUND` for the first grant when the server ignored the proof. A later
 *   one is kept: refusing it would lose a refresh token that was just replaced.
 */
export function bindGrant(
  issued: Issued,
  grant: OAuth2Grant,
  { dpopKey, tls, tokenType, isFirst }: Binding & { tokenType: string; isFirst: boolean },
): Issued {
  const isBound = tokenType === 'dpop';
  if (dpopKey !== null && !isBound && isFirst) {
    throw new ConfigurationError('ERR_OAUTH2_TOKEN_NOT_BOUND', 'The server did not bind the access token to its key.');
  }
  const bound: OAuth2Grant = {
    ...grant,
    ...(dpopKey !== null && { dpopKey, tokenType: isBound ? 'DPoP' : 'Bearer' }),
    ...(tls !== undefined && { tls: { ...tls } }),
  };
  return { ...issued, grant: Secret.of(toJsonObject(bound)) };
}
