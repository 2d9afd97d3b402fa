import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One login as the target saw it. */
export interface Login {
  readonly user: string;
  readonly password: string;
  readonly verdict: 'accepted' | 'refused' | 'locked';
  readonly at: number;
}

/** How the target keeps its accounts. */
export interface TargetOptions {
  readonly overlap: 'dual' | 'standby' | 'none';
  /** So many failed logins within the window lock an account for the rest of it. */
  readonly lockoutFailures: number;
  readonly lockoutWindowMs: number;
}

type Body = Readonly<Record<string, string>>;
type Answer = (body: Body) => object | null;

/**
 * A target of rotations: accounts with passwords over HTTP. `none`: one account, one password. `dual`: one account that
 * accepts several. `standby`: the accounts `a` and `b`, of which each may set the other's password. It counts logins and locks.
 */
export class TargetServer {
  readonly #options: TargetOptions;
  readonly #server: Server;
  readonly #accounts: Map<string, Set<string>>;
  readonly #logins: Login[] = [];

  private constructor(options: TargetOptions, server: Server) {
    this.#options = options;
    this.#server = server;
    const standby: [string, Set<string>][] =
      options.overlap === 'standby' ? [['b', new Set([randomBytes(8).toString('hex')])]] : [];
    this.#accounts = new Map([['a', new Set(['first'])], ...standby]);
  }

  static async start(options: TargetOptions): Promise<TargetServer> {
    const server = createServer();
    const target = new TargetServer(options, server);
    server.on('request', (request, response) => void target.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return target;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  readonly #routes: Readonly<Record<string, Answer>> = {
    /** Proves a password. */
    '/login': (body) => (this.#login(body) ? {} : null),
    /** Makes an account accept a new password, on the word of one that logs in. */
    '/set': (body) => {
      if (!this.#login(body)) return null;
      const { of = '', newPassword = '' } = body;
      const passwords = this.#passwordsOf(of);
      if (this.#options.overlap !== 'dual') passwords.clear();
      passwords.add(newPassword);
      return {};
    },
    /** Ends one password of an account, on the word of one that logs in. */
    '/retire': (body) => {
      if (!this.#login(body)) return null;
      this.#passwordsOf(body['of'] ?? '').delete(body['retired'] ?? '');
      return {};
    },
    /** What no client may ask: which passwords are accepted, and who tried which. */
    '/inspect': () => ({
      accepted: [...this.#accounts].map(([user, passwords]) => ({ user, passwords: [...passwords] })),
      logins: this.#logins,
    }),
    /** Whether a password is accepted at this instant; counts as no login. */
    '/peek': ({ user = '', password = '' }) => ({ accepted: this.#passwordsOf(user).has(password) }),
  };

  #login({ user = '', password = '' }: Body): boolean {
    const verdict = this.#isLocked(user) ? 'locked' : this.#passwordsOf(user).has(password) ? 'accepted' : 'refused';
    this.#logins.push({ user, password, verdict, at: performance.now() });
    return verdict === 'accepted';
  }

  #isLocked(user: string): boolean {
    const since = performance.now() - this.#options.lockoutWindowMs;
    const recent = this.#logins.filter(
      (login) => login.user === user && login.verdict === 'refused' && login.at > since,
    );
    return recent.length >= this.#options.lockoutFailures;
  }

  #passwordsOf(user: string): Set<string> {
    return this.#accounts.get(user) ?? new Set();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Body;
    const answer = this.#routes[request.url ?? '']?.(body) ?? null;
    response.statusCode = answer === null ? 401 : 200;
    response.end(JSON.stringify(answer ?? {}));
  }
}
