import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Fetch } from '../../src/ports.ts';
import { systemFetch } from '../../src/ports.ts';

export interface OidcOptions {
  readonly clients: readonly object[];
  /** Certificate and key of the server, and who issues client certificates, in PEM. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly ttlSeconds?: number;
  /** Whether DPoP proofs need a nonce of the server. */
  readonly requireNonce?: boolean;
  readonly features?: object;
}

export interface SeenRequest {
  readonly path: string;
  readonly grantType: string | null;
  readonly resource: string | string[] | null;
  readonly scope: string | null;
  readonly status: number;
  readonly error: string | null;
  readonly dpop: boolean;
  /** SHA-256 of the client certificate, base64url. */
  readonly certificate: string | null;
}

/**
 * A real authorization server, oidc-provider, in a process of its own: all grants, all ways of client authentication, PAR,
 * DPoP, resource indicators, over http or https with client certificates. A person's part is played by `signIn`.
 */
export class OidcServer {
  readonly issuer: string;
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (value: unknown) => void>();
  #sequence = 0;

  private constructor(child: ChildProcess, issuer: string) {
    this.#child = child;
    this.issuer = issuer;
    child.on('message', ({ sequence, value }: { sequence: number; value: unknown }) => {
      this.#answers.get(sequence)?.(value);
      this.#answers.delete(sequence);
    });
  }

  static async start(options: OidcOptions): Promise<OidcServer> {
    const child = fork(join(__dirname, 'oidc/server.mjs'), [JSON.stringify(options)], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`The server ended: ${errors}`);
    });
    failed.catch(() => undefined);
    const [{ issuer }] = (await Promise.race([once(child, 'message'), failed])) as [{ issuer: string }];
    return new OidcServer(child, issuer);
  }

  /**
   * `denyNext`: the person says no; `dropAnswers`: so many answers of the token endpoint are lost; `holdNext`: its next request
   * is not looked at before `release`.
   */
  set(faults: { denyNext?: boolean; dropAnswers?: number; holdNext?: boolean }): Promise<unknown> {
    return this.#ask('set', faults);
  }

  async requests(path = '/token'): Promise<SeenRequest[]> {
    return ((await this.#ask('requests')) as SeenRequest[]).filter((request) => request.path === path);
  }

  /** Token requests that have arrived and are not looked at yet. */
  async waiting(): Promise<number> {
    return Number(await this.#ask('waiting'));
  }

  async release(): Promise<void> {
    await this.#ask('release');
  }

  async isActive(token: string): Promise<boolean> {
    return (await this.#ask('isActive', token)) === true;
  }

  async endRefreshToken(token: string): Promise<void> {
    await this.#ask('endRefreshToken', token);
  }

  async binding(token: string): Promise<{ jkt: string | null; 'x5t#S256': string | null }> {
    return (await this.#ask('binding', token)) as { jkt: string | null; 'x5t#S256': string | null };
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill();
    await gone;
  }

  #ask(verb: string, ...args: unknown[]): Promise<unknown> {
    this.#sequence += 1;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#answers.set(this.#sequence, resolve);
    this.#child.send({ sequence: this.#sequence, verb, args });
    return promise;
  }
}

/** A browser without a window: keeps cookies, follows redirects, and stops where the redirect URI begins. */
export class Browser {
  readonly #cookies = new Map<string, string>();
  readonly #fetch: Fetch;

  constructor(fetch: Fetch = systemFetch) {
    this.#fetch = fetch;
  }

  /** Signs in and consents. Returns the URL that the browser is sent back to. */
  async signIn(url: string, redirectUri: string): Promise<string> {
    let at = url;
    for (let hops = 0; hops < 20 && !at.startsWith(redirectUri); hops += 1) {
      const response = await this.#request(at);
      const location = response.headers.get('location');
      if (location === null) throw new Error(`No way on: HTTP ${String(response.status)} ${await response.text()}`);
      at = new URL(location, at).href;
    }
    return at;
  }

  /** Enters a device's code and says yes. */
  async enterUserCode(verificationUri: string, userCode: string): Promise<void> {
    const form = await (await this.#follow(verificationUri)).text();
    const confirmation = await this.#post(verificationUri, { xsrf: fieldOf(form, 'xsrf'), user_code: userCode });
    const xsrf = fieldOf(await confirmation.text(), 'xsrf');
    await this.#post(verificationUri, { xsrf, user_code: userCode, confirm: 'yes' });
  }

  async #post(url: string, fields: Record<string, string>): Promise<Response> {
    const response = await this.#request(url, { method: 'POST', body: new URLSearchParams(fields) });
    const location = response.headers.get('location');
    return location === null ? response : this.#follow(new URL(location, url).href);
  }

  async #follow(url: string): Promise<Response> {
    const response = await this.#request(url);
    const location = response.headers.get('location');
    return location === null ? response : this.#follow(new URL(location, url).href);
  }

  async #request(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await this.#fetch(url, { ...init, headers: { cookie }, redirect: 'manual' });
    for (const text of response.headers.getSetCookie()) {
      const [pair = ''] = text.split(';');
      const [name = '', ...value] = pair.split('=');
      this.#cookies.set(name, value.join('='));
    }
    return response;
  }
}

function fieldOf(form: string, name: string): string {
  const value = new RegExp(`name="${name}" value="([^"]*)"`).exec(form)?.[1];
  if (value === undefined) throw new Error(`The form has no field ${name}.`);
  return value;
}
