import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemFetch } from '../../src/ports.ts';
import { SandboxAdministration } from '../../src/sandbox/administration-client.ts';
import type { SandboxOptions } from '../../src/sandbox/options.ts';
import { Sandbox } from '../../src/sandbox/sandbox.ts';

const ENTRY = join(__dirname, '../../dist/src/sandbox/server-process.js');

export type AuthorizationServerOptions = Partial<SandboxOptions>;

/**
 * A real authorization server for tests: the sandbox's, compiled, in a process of its own.
 *
 * @example
 * const server = await startAuthorizationServer({ accessTokenTtlMs: 2_000, reuseGraceMs: 500 });
 * const { clientId, clientSecret } = server.clients.rotating;
 * const refreshToken = await server.mintRefreshToken('rotating');
 * // ... let the engine work against server.issuer ...
 * expect((await server.tokenRequests('rotating')).filter((request) => request.spentTokenPresented)).toEqual([]);
 * await server.stop();
 */
export class AuthorizationServer extends SandboxAdministration {
  /** Where it keeps its keys, grants and log. */
  readonly folder: string;
  readonly #options: AuthorizationServerOptions;
  #sandbox: Sandbox;

  private constructor(sandbox: Sandbox, folder: string, options: AuthorizationServerOptions) {
    super(sandbox.facts, systemFetch);
    this.folder = folder;
    this.#options = options;
    this.#sandbox = sandbox;
  }

  static async start(options: AuthorizationServerOptions): Promise<AuthorizationServer> {
    if (!existsSync(ENTRY)) throw new Error('dist is missing: run "npm run build" first');
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'authorization-server-')));
    try {
      return new AuthorizationServer(await startProcess(folder, options), folder, options);
    } catch (error) {
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#sandbox.pid;
  }

  /** SIGKILL; the folder stays. */
  async kill(): Promise<void> {
    await this.#sandbox.kill();
  }

  /** A new process on the same folder, also after `kill`: same issuer, same grants, same log. Options may change. */
  async restart(changes: AuthorizationServerOptions = {}): Promise<void> {
    await this.#sandbox.kill();
    this.#sandbox = await startProcess(this.folder, { ...this.#options, ...changes });
  }

  /** SIGTERM, and away with the folder if it was a temporary one. */
  async stop(): Promise<void> {
    await this.#sandbox.stop();
    if (this.#options.folder === undefined) await rm(this.folder, { recursive: true, force: true });
  }
}

function startProcess(folder: string, options: AuthorizationServerOptions): Promise<Sandbox> {
  return Sandbox.start({ ...options, folder }, { fetch: systemFetch, entry: ENTRY });
}

/** Starts one on a free port of 127.0.0.1 with a temporary folder, unless `options.folder` names one. */
export function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  return AuthorizationServer.start(options);
}
