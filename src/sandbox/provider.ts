import type Database from 'better-sqlite3';
import type { Configuration, default as Provider } from 'oidc-provider';
import { ConfigurationError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { SandboxAdapter } from './adapter.ts';
import { accessTokenTtlSeconds, clientMetadata, SANDBOX_SCOPE } from './clients.ts';
import type { KeptSettings } from './kept-settings.ts';
import type { SandboxSettings } from './options.ts';

const YEAR_S = 365 * 24 * 60 * 60;

export interface ProviderOptions {
  readonly issuer: string;
  readonly database: Database.Database;
  readonly clock: Clock;
  readonly kept: KeptSettings;
  readonly settings: SandboxSettings;
}

/**
 * The authorization server itself, oidc-provider. It is a development dependency and loaded only here.
 *
 * @throws ConfigurationError `ERR_SANDBOX_UNAVAILABLE` when it is not installed.
 */
export async function createProvider(options: ProviderOptions): Promise<Provider> {
  const ProviderClass = await loadProviderClass();
  return new ProviderClass(options.issuer, configuration(options));
}

async function loadProviderClass(): Promise<typeof Provider> {
  try {
    return (await import('oidc-provider')).default;
  } catch (error) {
    if (isMissingModule(error))
      throw new ConfigurationError('ERR_SANDBOX_UNAVAILABLE', 'oidc-provider is not installed.');
    throw error;
  }
}

function isMissingModule(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}

function configuration({ database, clock, kept, settings }: ProviderOptions): Configuration {
  const ttlOf = (clientId: string | undefined): number => accessTokenTtlSeconds(clientId, settings);
  return {
    adapter: (kind) => new SandboxAdapter(kind, { database, clock, reuseGraceMs: settings.reuseGraceMs }),
    jwks: kept.jwks,
    cookies: { keys: kept.cookieKeys },
    clients: clientMetadata(kept.clientSecrets, settings),
    scopes: SANDBOX_SCOPE.split(' '),
    findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: (_context, _token, client) => ttlOf(client.clientId),
      ClientCredentials: (_context, _token, client) => ttlOf(client.clientId),
      RefreshToken: YEAR_S,
      Grant: YEAR_S,
      IdToken: 300,
      Session: 300,
      Interaction: 300,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
  };
}
