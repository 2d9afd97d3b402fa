import type { ClientMetadata } from 'oidc-provider';
import { CLIENT_NAMES, type ClientName, type SandboxSettings } from './options.ts';

export const CLIENT_IDS: Readonly<Record<ClientName, string>> = {
  machine: 'sandbox-machine',
  rotating: 'sandbox-rotating',
  revoked: 'sandbox-revoked',
  wrongSecret: 'sandbox-wrong-secret',
};

/** All that a client of the sandbox may ask for. */
export const SANDBOX_SCOPE = 'openid offline_access api';

/** The clients as the provider takes them. Each may use both grants, so that a test can choose. */
export function clientMetadata(
  secrets: Readonly<Record<ClientName, string>>,
  settings: SandboxSettings,
): ClientMetadata[] {
  return CLIENT_NAMES.map((name) => ({
    client_id: CLIENT_IDS[name],
    client_secret: secrets[name],
    token_endpoint_auth_method: settings.clientAuthentication,
    grant_types: ['client_credentials', 'refresh_token'],
    response_types: [],
    redirect_uris: [],
    scope: SANDBOX_SCOPE,
  }));
}

/** Lifetime of a client's access tokens in seconds. */
export function accessTokenTtlSeconds(clientId: string | undefined, settings: SandboxSettings): number {
  const { accessTokenTtlMs, revokedClientTtlMs } = settings;
  const ttlMs = clientId === CLIENT_IDS.revoked ? Math.min(revokedClientTtlMs, accessTokenTtlMs) : accessTokenTtlMs;
  return ttlMs / 1_000;
}
