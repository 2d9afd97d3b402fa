import { randomBytes, randomUUID } from 'node:crypto';
import { freePort } from '../../scripts/test/free-port.cjs';
import { CredentialEngine } from '../../src/engine.ts';
import { n8nDefaults } from '../../src/n8n/instance.ts';
import { Secret } from '../../src/secret.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { PostgresServer } from '../servers/postgres.ts';
import { RedisServer } from '../servers/redis.ts';
import { Started } from '../support/started.ts';
import { installPackage } from './installed-package.ts';
import { N8nProcess } from './n8n-process.ts';
import { N8nServer } from './n8n-server.ts';
import { chain, httpRequest, splitOut, webhook, type CredentialReference } from './workflow.ts';
import { Calls } from './world.ts';

const WORKERS = 2;
const START_TIMEOUT_MS = 150_000;

type Environment = Readonly<Record<string, string>>;
type QueueEnvironment = Environment & { readonly CREDLIFE_DATABASE: string };

/** An n8n in queue mode: a main process, two workers, a real Redis between them, and a PostgreSQL for n8n and for the engine. */
export class QueueWorld {
  readonly server: AuthorizationServer;
  readonly workers: N8nProcess[] = [];
  readonly #env: QueueEnvironment;
  readonly #started: Started;
  #n8n: N8nServer;

  private constructor(n8n: N8nServer, server: AuthorizationServer, env: QueueEnvironment, started: Started) {
    this.#n8n = n8n;
    this.server = server;
    this.#env = env;
    this.#started = started;
    started.later(() => this.#n8n.stop());
  }

  /** `settings` are more environment for main and workers. */
  static async start(settings: Environment = {}): Promise<QueueWorld> {
    return Started.together(async (started) => {
      const server = await started.add(startAuthorizationServer({ accessTokenTtlMs: 3_600_000 }));
      const postgres = await started.add(PostgresServer.start());
      const redis = await started.add(RedisServer.start());
      const database = { CREDLIFE_DATABASE: postgres.url('engine') };
      const env = { ...queueMode(redis), ...n8nDatabase(postgres), ...settings, ...database };
      const main = await N8nServer.start({ packages: [installPackage()], env });
      const world = new QueueWorld(main, server, env, started);
      while (world.workers.length < WORKERS) await world.addWorker();
      return world;
    });
  }

  /** The main process. */
  get n8n(): N8nServer {
    return this.#n8n;
  }

  async addWorker(): Promise<void> {
    this.workers.push(await this.#started.add(startWorker(this.n8n.userFolder, this.#env)));
  }

  /** Ends the main process in an orderly way and starts it again; the workers go on. */
  async restartMain(): Promise<void> {
    const { userFolder } = this.#n8n;
    await this.#n8n.stop({ keepFolder: true });
    this.#n8n = await N8nServer.start({ packages: [installPackage()], env: this.#env, userFolder });
  }

  async stop(): Promise<void> {
    await this.#started.stop();
  }

  oauth2(scope: string): Promise<CredentialReference> {
    const { clientId, clientSecret } = this.server.clients.machine;
    return this.n8n.createCredential('lifecycleOAuth2Api', 'The API', {
      grantType: 'client_credentials',
      endpointSource: 'issuer',
      issuer: this.server.issuer,
      ...{ clientId, clientSecret, scope },
      clientAuthentication: 'client_secret_basic',
      advanced: true,
      allowInsecureTransport: true,
    });
  }

  /** An active workflow whose executions run on the workers. */
  async calling(credential: CredentialReference): Promise<Calls> {
    const path = randomUUID();
    const nodes = [webhook(path), splitOut('body.items'), httpRequest(this.server.resourceUrl, credential)];
    const workflow = await this.n8n.createWorkflow(chain(`Calls ${path}`, nodes));
    await this.n8n.activate(workflow);
    return new Calls(this.n8n, workflow, path);
  }

  /** Registers a credential in the engine, as `credlife register` does. */
  async registered(name: string): Promise<string> {
    const { clientId, clientSecret } = this.server.clients.machine;
    const config = { issuer: this.server.issuer, grantType: 'client_credentials', clientId, scope: 'api' };
    const input = { protocol: 'oauth2', name, config: { ...config, allowInsecureTransport: true } };
    return this.withEngine(async (engine) => (await engine.register({ ...input, secret: { clientSecret } })).id);
  }

  /** Token requests that the authorization server saw while `work` ran. */
  async tokenRequests(work: () => Promise<unknown>): Promise<number> {
    const before = (await this.server.requests()).length;
    await work();
    const seen = (await this.server.requests()).slice(before);
    return seen.filter(({ endpoint }) => endpoint === 'token').length;
  }

  /** The engine's database, opened by one more process: what the command does. */
  async withEngine<T>(work: (engine: CredentialEngine) => Promise<T>): Promise<T> {
    const masterKey = n8nDefaults({}, this.n8n.n8nFolder).masterKey() ?? Secret.of(randomBytes(32));
    const engine = await CredentialEngine.open({ database: this.#env.CREDLIFE_DATABASE, masterKey });
    try {
      return await work(engine);
    } finally {
      await engine.close();
    }
  }
}

async function startWorker(userFolder: string, env: Readonly<Record<string, string>>): Promise<N8nProcess> {
  const port = await freePort();
  const health = { QUEUE_HEALTH_CHECK_ACTIVE: 'true', QUEUE_HEALTH_CHECK_PORT: String(port) };
  const options = { command: 'worker', userFolder, port, env: { ...env, ...health } } as const;
  return N8nProcess.start({ ...options, startTimeoutMs: START_TIMEOUT_MS });
}

function queueMode(redis: RedisServer): Record<string, string> {
  const { password } = new URL(redis.url);
  return {
    EXECUTIONS_MODE: 'queue',
    OFFLOAD_MANUAL_EXECUTIONS_TO_WORKERS: 'false',
    QUEUE_BULL_REDIS_HOST: '127.0.0.1',
    QUEUE_BULL_REDIS_PORT: String(redis.port),
    QUEUE_BULL_REDIS_PASSWORD: password,
  };
}

function n8nDatabase(postgres: PostgresServer): Record<string, string> {
  const { username, password, pathname } = new URL(postgres.url());
  return {
    DB_TYPE: 'postgresdb',
    DB_POSTGRESDB_HOST: '127.0.0.1',
    DB_POSTGRESDB_PORT: String(postgres.port),
    DB_POSTGRESDB_USER: username,
    DB_POSTGRESDB_PASSWORD: password,
    DB_POSTGRESDB_DATABASE: pathname.slice(1),
  };
}
