import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod/v4';
import type { Material } from '../../src/protocols/protocol.ts';
import { CredentialEngine } from '../../src/engine.ts';
import { n8nDefaults } from '../../src/n8n/instance.ts';
import type { ServerRequest } from '../../src/sandbox/request-log.ts';
import { Secret } from '../../src/secret.ts';
import { type AuthorizationServer, startAuthorizationServer } from '../servers/authorization-server.ts';
import { Started } from '../support/started.ts';
import { installPackage } from './installed-package.ts';
import { type Execution, type HttpAnswer, N8nServer, type StoredWorkflow } from './n8n-server.ts';
import { chain, type CredentialReference, httpRequest, splitOut, webhook, type WorkflowNode } from './workflow.ts';

/** A running n8n with the package in it, an authorization server with an API behind it, and what went on between them. */
export class World {
  readonly server: AuthorizationServer;
  #n8n: N8nServer;
  readonly #env: Readonly<Record<string, string>>;
  readonly #started: Started;

  private constructor(
    n8n: N8nServer,
    server: AuthorizationServer,
    env: Readonly<Record<string, string>>,
    started: Started,
  ) {
    this.#n8n = n8n;
    this.server = server;
    this.#env = env;
    this.#started = started;
    started.later(() => this.#n8n.stop());
  }

  /** Tokens live an hour unless told otherwise, so that nothing but the tests asks for new ones. */
  static async start(options: WorldOptions = {}): Promise<World> {
    const { env = {}, accessTokenTtlMs = 3_600_000, reuseGraceMs } = options;
    const grace = reuseGraceMs === undefined ? {} : { reuseGraceMs };
    return Started.together(async (started) => {
      const server = await started.add(startAuthorizationServer({ accessTokenTtlMs, ...grace }));
      return new World(await N8nServer.start({ packages: [installPackage()], env }), server, env, started);
    });
  }

  get n8n(): N8nServer {
    return this.#n8n;
  }

  /** Ends n8n and starts it again on the same folder; meanwhile nobody looks after the credentials. */
  async restartN8n(env: Readonly<Record<string, string>> = this.#env): Promise<void> {
    const { userFolder } = this.#n8n;
    await this.#n8n.stop({ keepFolder: true });
    this.#n8n = await N8nServer.start({ packages: [installPackage()], env, userFolder });
  }

  async stop(): Promise<void> {
    await this.#started.stop();
  }

  /** The form of OAuth2 (Lifecycle), filled in. Each scope order is a credential of its own for the engine. */
  form(changes: object = {}): Record<string, unknown> {
    const { clientId, clientSecret } = this.server.clients.machine;
    return {
      grantType: 'client_credentials',
      endpointSource: 'issuer',
      issuer: this.server.issuer,
      clientId,
      clientSecret,
      scope: 'api',
      clientAuthentication: 'client_secret_basic',
      advanced: true,
      allowInsecureTransport: true,
      ...changes,
    };
  }

  /** The same with nothing that could confirm a rejection. */
  unconfirmableForm(changes: object = {}): Record<string, unknown> {
    return this.form({ endpointSource: 'tokenEndpoint', tokenEndpoint: this.server.tokenEndpoint, ...changes });
  }

  lifecycleOAuth2(changes: object = {}): Promise<CredentialReference> {
    return this.n8n.createCredential('lifecycleOAuth2Api', 'The API', this.form(changes));
  }

  /** An active workflow that calls the API with as many items as its webhook is called with. */
  async calling(credential: CredentialReference, options: CallOptions = {}): Promise<Calls> {
    const path = randomUUID();
    const url = `${this.server.resourceUrl}${options.query ?? ''}`;
    const nodes = [webhook(path), splitOut('body.items'), httpRequest(url, credential, options.settings)];
    const workflow = await this.n8n.createWorkflow(chain(`Calls ${path}`, [...nodes, ...(options.then ?? [])]));
    await this.n8n.activate(workflow);
    return new Calls(this.n8n, workflow, path);
  }

  /** The requests that the authorization server saw while `work` ran, at its token endpoint and elsewhere. */
  async during(work: () => Promise<unknown>): Promise<Requests> {
    const before = (await this.server.requests()).length;
    await work();
    const seen = (await this.server.requests()).slice(before);
    const at = (endpoint: ServerRequest['endpoint']) => seen.filter((request) => request.endpoint === endpoint).length;
    return { token: at('token'), introspection: at('introspection'), resource: at('resource') };
  }

  /** The engine's database in n8n's folder, opened by a second process: what the command does. */
  async withEngine<T>(work: (engine: CredentialEngine) => Promise<T>): Promise<T> {
    const { database, masterKey } = n8nDefaults({}, this.n8n.n8nFolder);
    mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
    const engine = await CredentialEngine.open({ database, masterKey: masterKey() ?? Secret.of(Buffer.alloc(32)) });
    try {
      return await work(engine);
    } finally {
      await engine.close();
    }
  }

  /** Registers a credential in the engine, as `credlife register` does. */
  async registered(name: string, changes: object = {}): Promise<string> {
    const { clientId, clientSecret } = this.server.clients.machine;
    return this.withEngine(async (engine) => {
      const config = {
        issuer: this.server.issuer,
        grantType: 'client_credentials',
        clientId,
        scope: 'api',
        ...changes,
      };
      const input = {
        protocol: 'oauth2',
        name,
        config: { ...config, allowInsecureTransport: true },
        secret: { clientSecret },
      };
      return (await engine.register(input)).id;
    });
  }

  /** The material that the engine now holds for a credential: what must be found nowhere in n8n. */
  async materialOf(id: string): Promise<Material> {
    return this.withEngine((engine) => engine.use(id));
  }

  /** Every credential that the engine adopted. */
  async adoptedIds(): Promise<string[]> {
    const { credentials } = await this.withEngine((engine) => engine.list());
    return credentials.filter(({ origin }) => origin === 'adopted').map(({ id }) => id);
  }
}

export interface WorldOptions {
  /** More environment for n8n. */
  readonly env?: Readonly<Record<string, string>>;
  readonly accessTokenTtlMs?: number;
  /** How long a spent refresh token is forgiven; with 0 the next one that presents it ends the grant. */
  readonly reuseGraceMs?: number;
}

export interface CallOptions {
  /** Appended to the URL of the API; `?status=404` makes it answer that to a live token. */
  readonly query?: string;
  /** Settings of the HTTP Request node. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Nodes after it. */
  readonly then?: readonly WorkflowNode[];
}

export interface Requests {
  readonly token: number;
  readonly introspection: number;
  readonly resource: number;
}

/** Executions of one workflow. */
export class Calls {
  readonly workflow: StoredWorkflow;
  readonly #n8n: N8nServer;
  readonly #path: string;

  constructor(n8n: N8nServer, workflow: StoredWorkflow, path: string) {
    this.#n8n = n8n;
    this.workflow = workflow;
    this.#path = path;
  }

  /** The same workflow in an n8n that was started again. */
  again(n8n: N8nServer): Calls {
    return new Calls(n8n, this.workflow, this.#path);
  }

  /** Runs the workflow with `count` items and waits for its end. */
  run(count: number): Promise<HttpAnswer> {
    return this.#n8n.callWebhook(this.#path, { items: Array.from({ length: count }, (_, index) => index + 1) });
  }

  executions(): Promise<Execution[]> {
    return this.#n8n.executionsOf(this.workflow);
  }

  async lastExecution(): Promise<Execution> {
    const [last] = await this.executions();
    if (!last) throw new Error('the workflow has not run');
    return last;
  }
}

const shownError = z.looseObject({ message: z.string(), description: z.string().nullish() });
const failedExecution = z.object({ resultData: z.object({ error: shownError }) });

/** What n8n stored as the error of an execution, and shows. */
export function errorOf({ data }: Execution): z.infer<typeof shownError> {
  return failedExecution.parse(data).resultData.error;
}

const items = z.array(z.object({ json: z.record(z.string(), z.unknown()) }));
const runData = z.record(
  z.string(),
  z.array(z.object({ data: z.object({ main: z.array(items.nullable()) }).optional() })),
);
const endedExecution = z.object({ resultData: z.object({ runData }) });

/** The items that came out of a node of an execution. */
export function outputOf({ data }: Execution, nodeName: string): Record<string, unknown>[] {
  const runs = endedExecution.parse(data).resultData.runData[nodeName] ?? [];
  return (runs[0]?.data?.main[0] ?? []).map(({ json }) => json);
}
