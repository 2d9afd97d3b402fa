import type { DriverInput } from '../protocol.ts';
import {
  parseOAuth2Grant,
  parseOAuth2Secret,
  storedOAuth2Config,
  type OAuth2Config,
  type OAuth2Grant,
  type OAuth2Secret,
} from './config.ts';

/** A credential's parsed parts, for the length of one call. */
export interface Opened {
  readonly config: OAuth2Config;
  readonly secret: OAuth2Secret;
  readonly grant: OAuth2Grant | null;
  readonly signal: AbortSignal;
}

export function open(input: DriverInput): Opened {
  const config = storedOAuth2Config(input.config);
  return {
    config,
    secret: parseOAuth2Secret(input.registered.unwrap(), config),
    grant: input.grant === null ? null : parseOAuth2Grant(input.grant.unwrap()),
    signal: input.signal,
  };
}
