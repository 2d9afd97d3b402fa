import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import type { Clock, RandomSource } from '../ports.ts';
import { Administration } from './administration.ts';
import { CLIENT_IDS } from './clients.ts';
import { openSandboxDatabase } from './database.ts';
import { TokenEndpointFaults } from './faults.ts';
import { Grants } from './grants.ts';
import { keepPort, keptSettings, type KeptSettings } from './kept-settings.ts';
import { issuerAt, listenOnLoopback } from './listen.ts';
import type { SandboxSettings } from './options.ts';
import { createProvider } from './provider.ts';
import { RequestLog } from './request-log.ts';
import { requestListener } from './routes.ts';
import { FACTS_FILE, serverFactsSchema, type ServerFacts } from './server-facts.ts';
import { logTokenRequests } from './token-endpoint.ts';

export interface AuthorizationServer {
  readonly facts: ServerFacts;
  close(): Promise<void>;
}

/**
 * Starts a real OAuth 2.0 / OpenID Connect authorization server on loopback. Keys, port, clients, grants and log live in
 * `settings.folder`: a server that is started there again has the same issuer and knows the same tokens.
 *
 * @throws ConfigurationError `ERR_SANDBOX_UNAVAILABLE` when oidc-provider is missing, `ERR_SANDBOX_PORT_TAKEN`.
 */
export async function startAuthorizationServer(
  settings: SandboxSettings,
  ports: { readonly clock: Clock; readonly random: RandomSource },
): Promise<AuthorizationServer> {
  const database = openSandboxDatabase(settings.folder);
  const kept = await keptSettings(database, ports.random);
  const server = createServer();
  // The issuer's URL holds the port, so the server listens before it can answer; early requests wait.
  const ready = Promise.withResolvers<RequestListener>();
  server.on('request', (request, response) => {
    void ready.promise.then((listener) => {
      listener(request, response);
    });
  });
  const port = await listenOnLoopback(server, kept.port);
  keepPort(database, kept, port);
  const issuer = issuerAt(port);
  const { listener, grants } = await compose({ settings, kept, database, issuer, clock: ports.clock });
  ready.resolve(listener);
  return { facts: publish(settings.folder, issuer, kept), close: () => close(server, grants, database) };
}

interface Parts {
  readonly settings: SandboxSettings;
  readonly kept: KeptSettings;
  readonly database: Database.Database;
  readonly issuer: string;
  readonly clock: Clock;
}

async function compose(parts: Parts): Promise<{ listener: RequestListener; grants: Grants }> {
  const { settings, kept, database, clock } = parts;
  const provider = await createProvider(parts);
  const log = new RequestLog(database, clock);
  const faults = new TokenEndpointFaults();
  const grants = new Grants({ database, clock, provider, revokeAfterMs: settings.revokeAfterMs });
  const administration = new Administration({ token: kept.administrationToken, log, grants, faults });
  logTokenRequests(provider, log);
  grants.startSchedule();
  return { listener: requestListener({ ...settings, provider, log, faults, administration }), grants };
}

function publish(folder: string, issuer: string, kept: KeptSettings): ServerFacts {
  const secrets = Object.entries(kept.clientSecrets);
  const ids = new Map<string, string>(Object.entries(CLIENT_IDS));
  const facts = serverFactsSchema.parse({
    issuer,
    pid: process.pid,
    administrationToken: kept.administrationToken,
    clients: Object.fromEntries(
      secrets.map(([name, clientSecret]) => [name, { clientId: ids.get(name), clientSecret }]),
    ),
  });
  writeFileSync(join(folder, FACTS_FILE), `${JSON.stringify(facts)}\n`, { mode: 0o600 });
  return facts;
}

async function close(server: Server, grants: Grants, database: Database.Database): Promise<void> {
  grants.stopSchedule();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
  database.close();
}
