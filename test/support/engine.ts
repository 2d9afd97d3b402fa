import { join } from 'node:path';
import { CredentialEngine, type EngineOptions } from '../../src/engine.ts';
import type { AuthorizationServer } from '../servers/authorization-server.ts';

export { temporaryFolder } from './folder.ts';

export const MASTER_KEY = Buffer.alloc(32, 7);

export async function openEngine(folder: string, options: Partial<EngineOptions> = {}): Promise<CredentialEngine> {
  return CredentialEngine.open({ database: join(folder, 'credentials.db'), masterKey: MASTER_KEY, ...options });
}

/** Settings of a client-credentials credential at a test server. */
export function machineEntry(server: AuthorizationServer, overrides: { config?: object; secret?: object } = {}) {
  return {
    protocol: 'oauth2',
    name: 'Machine',
    config: {
      issuer: server.issuer,
      grantType: 'client_credentials',
      clientId: server.clients.machine.clientId,
      scope: 'api',
      allowInsecureTransport: true,
      ...overrides.config,
    },
    secret: { clientSecret: server.clients.machine.clientSecret, ...overrides.secret },
  };
}

/** Settings of a rotating refresh-token credential at a test server. */
export async function rotatingEntry(server: AuthorizationServer, overrides: { config?: object; secret?: object } = {}) {
  return {
    protocol: 'oauth2',
    name: 'Rotating',
    config: {
      issuer: server.issuer,
      grantType: 'refresh_token',
      clientId: server.clients.rotating.clientId,
      allowInsecureTransport: true,
      ...overrides.config,
    },
    secret: {
      clientSecret: server.clients.rotating.clientSecret,
      refreshToken: await server.mintRefreshToken('rotating'),
      ...overrides.secret,
    },
  };
}
