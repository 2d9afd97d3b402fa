import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod/v4';
import { freePort } from '../../scripts/test/free-port.cjs';
import { Started } from '../support/started.ts';
import { decodeFlatted } from './flatted.ts';
import type { InstalledPackage } from './installed-package.ts';
import { N8nProcess } from './n8n-process.ts';
import type { CredentialReference, WorkflowDefinition } from './workflow.ts';

const POLL_MS = 50;
const START_TIMEOUT_MS = 150_000;
const REQUEST_TIMEOUT_MS = 60_000;
const OWNER = { email: 'owner@example.com', firstName: 'Olive', lastName: 'Owner', password: 'Loopback-only-1' };

const credentialReply = z.object({ data: z.object({ id: z.string() }) });
const apiKeyReply = z.object({ data: z.object({ rawApiKey: z.string() }) });
const testReply = z.object({ data: z.object({ status: z.enum(['OK', 'Error']), message: z.string().default('') }) });
const workflowReply = z.object({ data: z.object({ id: z.string(), versionId: z.string() }) });
const runReply = z.object({ data: z.object({ executionId: z.string() }) });
const settingsReply = z.object({ data: z.object({ userManagement: z.object({ showSetupOnFirstLoad: z.boolean() }) }) });
const executionListReply = z.object({
  data: z.object({ results: z.array(z.object({ id: z.string(), status: z.string() })) }),
});
const executionReply = z.object({
  data: z.object({ id: z.string(), status: z.string(), finished: z.boolean().nullish(), data: z.string() }),
});
const typeList = z.array(z.looseObject({ name: z.string(), displayName: z.string() }));

export type TypeDescription = z.infer<typeof typeList>[number];

export interface N8nServerOptions {
  /** Placed in n8n's own folder before it starts, as if a user had installed it. */
  readonly packages?: readonly InstalledPackage[];
  /** A folder that an earlier server left behind (`keepFolder`); a fresh one if not given. */
  readonly userFolder?: string;
  /** More environment for n8n, for example settings of the engine. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface StoredWorkflow {
  readonly id: string;
  readonly versionId: string;
}

export interface CredentialTestResult {
  readonly status: 'OK' | 'Error';
  readonly message: string;
}

export interface Execution {
  readonly id: string;
  /** `success`, `error`, `crashed`, `canceled`, … as n8n calls them. */
  readonly status: string;
  /** The execution data, decoded: `resultData.runData[<node name>]` and so on. */
  readonly data: unknown;
  /** The answer as n8n sent it, for searching. */
  readonly raw: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * A real n8n without its editor, driven over the REST interface that the editor uses.
 *
 * @example
 * const n8n = await N8nServer.start({ packages: [installPackage()] });
 * const credential = await n8n.createCredential('lifecycleOAuth2Api', 'My API', { clientId, clientSecret });
 * const workflow = await n8n.createWorkflow(chain('Twenty', [webhook('go'), splitOut('body.items'), httpRequest(url, credential)]));
 * await n8n.activate(workflow);
 * await n8n.callWebhook('go', { items: [1, 2, 3] });
 * const [execution] = await n8n.executionsOf(workflow);
 * await n8n.stop();
 */
export class N8nServer {
  readonly url: string;
  readonly userFolder: string;
  readonly #process: N8nProcess;
  #cookie = '';

  private constructor(n8n: N8nProcess, url: string, userFolder: string) {
    this.#process = n8n;
    this.url = url;
    this.userFolder = userFolder;
  }

  /** Starts n8n on free ports and signs its owner in. Takes 10 to 20 seconds. */
  static async start(options: N8nServerOptions = {}): Promise<N8nServer> {
    const { userFolder, packages = [], env = {} } = options;
    const folder = userFolder ?? mkdtempSync(path.join(tmpdir(), 'credlife-n8n-'));
    return Started.together(async (started) => {
      if (userFolder === undefined)
        started.later(() => {
          removeFolder(folder);
        });
      for (const installed of packages) placePackage(installed, folder);
      const port = await freePort();
      const n8n = await started.add(
        N8nProcess.start({ userFolder: folder, port, env, startTimeoutMs: START_TIMEOUT_MS }),
      );
      const server = new N8nServer(n8n, `http://127.0.0.1:${String(port)}`, folder);
      await server.#signIn();
      return server;
    });
  }

  /** All that n8n has printed so far, at debug level. */
  get log(): string {
    return this.#process.log;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The owner's, as `name=value`: for a browser. */
  get sessionCookie(): string {
    return this.#cookie;
  }

  /** n8n's own folder: its database, its settings, installed packages, and what the engine keeps there. */
  get n8nFolder(): string {
    return path.join(this.userFolder, '.n8n');
  }

  // ---- what is loaded

  async credentialTypes(): Promise<TypeDescription[]> {
    return typeList.parse(await this.request('GET', '/types/credentials.json'));
  }

  async nodeTypes(): Promise<TypeDescription[]> {
    return typeList.parse(await this.request('GET', '/types/nodes.json'));
  }

  // ---- credentials

  /** Stores a credential; n8n does not test it at that point. */
  async createCredential(type: string, name: string, data: Record<string, unknown>): Promise<CredentialReference> {
    const reply = credentialReply.parse(await this.request('POST', '/rest/credentials', { name, type, data }));
    return { id: reply.data.id, name, type };
  }

  /** Replaces the data of a credential. */
  async updateCredential(credential: CredentialReference, data: Record<string, unknown>): Promise<void> {
    const { name, type } = credential;
    await this.request('PATCH', `/rest/credentials/${credential.id}`, { name, type, data });
  }

  async deleteCredential(credential: CredentialReference): Promise<void> {
    await this.request('DELETE', `/rest/credentials/${credential.id}`);
  }

  /** What the editor gets to see of a credential: secrets are blanked. */
  async readCredential(credential: CredentialReference): Promise<unknown> {
    return this.request('GET', `/rest/credentials/${credential.id}?includeData=true`);
  }

  /** Presses the Test button of a stored credential. `data` are the values in the form: give those it was stored with. */
  async testCredential(credential: CredentialReference, data: Record<string, unknown>): Promise<CredentialTestResult> {
    const { id, name, type } = credential;
    const body = { credentials: { id, name, type, data } };
    return testReply.parse(await this.request('POST', '/rest/credentials/test', body)).data;
  }

  /** Issues a key for the public API, with these scopes and no end. */
  async createApiKey(scopes: readonly string[]): Promise<string> {
    const body = { label: `Key ${scopes.join(' ')}`.slice(0, 50), scopes, expiresAt: null };
    return apiKeyReply.parse(await this.request('POST', '/rest/api-keys', body)).data.rawApiKey;
  }

  // ---- workflows

  async createWorkflow(definition: WorkflowDefinition): Promise<StoredWorkflow> {
    return workflowReply.parse(await this.request('POST', '/rest/workflows', definition)).data;
  }

  /** Switches a workflow on, so that its webhook answers. */
  async activate(workflow: StoredWorkflow): Promise<void> {
    await this.request('POST', `/rest/workflows/${workflow.id}/activate`, { versionId: workflow.versionId });
  }

  async deactivate(workflow: StoredWorkflow): Promise<void> {
    await this.request('POST', `/rest/workflows/${workflow.id}/deactivate`, {});
  }

  /** Calls the production webhook of an active workflow and waits for its answer, whatever its status. */
  async callWebhook(webhookPath: string, body: unknown = {}): Promise<HttpAnswer> {
    const answer = await fetch(`${this.url}/webhook/${webhookPath}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    return { status: answer.status, body: await answer.text() };
  }

  /** Presses "Execute workflow" and waits for the end. */
  async runManually(workflow: StoredWorkflow, triggerName = 'Start'): Promise<Execution> {
    const body = { triggerToStartFrom: { name: triggerName } };
    const reply = runReply.parse(await this.request('POST', `/rest/workflows/${workflow.id}/run`, body));
    return this.waitForExecution(reply.data.executionId);
  }

  // ---- executions

  /** Waits until an execution has ended, and returns it with its data. */
  async waitForExecution(id: string, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Execution> {
    const giveUpAt = Date.now() + timeoutMs;
    for (;;) {
      const raw = await this.#text('GET', `/rest/executions/${id}`);
      const { data } = executionReply.parse(JSON.parse(raw));
      if (!['new', 'running', 'waiting', 'unknown'].includes(data.status)) {
        return { id: data.id, status: data.status, data: decodeFlatted(data.data), raw };
      }
      if (Date.now() > giveUpAt)
        throw new Error(`execution ${id} is still ${data.status} after ${String(timeoutMs)} ms`);
      await sleep(POLL_MS);
    }
  }

  /** The executions of a workflow, the newest first, each waited for. */
  async executionsOf(workflow: StoredWorkflow): Promise<Execution[]> {
    const filter = encodeURIComponent(JSON.stringify({ workflowId: workflow.id }));
    const list = executionListReply.parse(await this.request('GET', `/rest/executions?filter=${filter}&limit=100`));
    return Promise.all(list.data.results.map(({ id }) => this.waitForExecution(id)));
  }

  // ---- what is on disk

  /** The bytes of n8n's database with its write-ahead log: everything that n8n keeps. */
  databaseBytes(): Buffer {
    const files = ['database.sqlite', 'database.sqlite-wal'].map((name) => path.join(this.n8nFolder, name));
    return Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)));
  }

  /** Every file below n8n's folder except installed packages, for searching: path → bytes. */
  files(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    for (const entry of readdirSync(this.n8nFolder, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile() && !file.includes(`${path.sep}node_modules${path.sep}`)) found.set(file, readFileSync(file));
    }
    return found;
  }

  // ---- the end

  /** Ends n8n in an orderly way; `keepFolder` leaves its folder for another start. */
  async stop(options: { readonly keepFolder?: boolean } = {}): Promise<void> {
    await this.#process.stop();
    if (options.keepFolder !== true) removeFolder(this.userFolder);
  }

  /** Ends n8n without warning and leaves its folder as it is. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  // ---- requests

  /** One request as the signed-in owner, for calls that have no method here. Fails on any status but 2xx. */
  async request(method: string, route: string, body?: unknown): Promise<unknown> {
    return JSON.parse(await this.#text(method, route, body));
  }

  async #signIn(): Promise<void> {
    const settings = settingsReply.parse(await this.request('GET', '/rest/settings'));
    const answer = settings.data.userManagement.showSetupOnFirstLoad
      ? await this.#fetch('POST', '/rest/owner/setup', OWNER)
      : await this.#fetch('POST', '/rest/login', { emailOrLdapLoginId: OWNER.email, password: OWNER.password });
    const cookie = answer.headers.getSetCookie().find((line) => line.startsWith('n8n-auth='));
    if (cookie === undefined) throw new Error(`n8n did not sign its owner in: ${await answer.text()}`);
    this.#cookie = cookie.split(';', 1)[0] ?? '';
  }

  async #text(method: string, route: string, body?: unknown): Promise<string> {
    const answer = await this.#fetch(method, route, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${route} answered ${String(answer.status)}: ${text}`);
    return text;
  }

  async #fetch(method: string, route: string, body?: unknown): Promise<Response> {
    return fetch(`${this.url}${route}`, {
      method,
      headers: { 'content-type': 'application/json', cookie: this.#cookie },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  }
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

function placePackage(installed: InstalledPackage, userFolder: string): void {
  const target = path.join(userFolder, '.n8n', 'nodes', 'node_modules', installed.name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(path.dirname(target), { recursive: true });
  cpSync(installed.folder, target, { recursive: true, verbatimSymlinks: true });
}
