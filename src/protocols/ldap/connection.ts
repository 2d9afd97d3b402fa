import { Attribute, Change, Client, PasswordPolicyControl, type Entry, type SearchOptions } from 'ldapts';
import { isCredentialError, ProtocolError, type CredentialError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import {
  BindRefusedError,
  isRefusedBind,
  refusalOfBind,
  refusalOfPolicy,
  refusedPassword,
  translateLdapError,
} from './errors.ts';
import type { GuardedSocket } from './guarded-socket.ts';
import { encodePasswordModify } from './message.ts';
import { openTransport, type TransportOptions } from './transport.ts';

const WHO_AM_I = '1.3.6.1.4.1.4203.1.11.3';
const PASSWORD_MODIFY = '1.3.6.1.4.1.4203.1.11.1';

export interface ConnectionOptions extends TransportOptions {
  /** Longest time that one request may take. */
  readonly operationTimeoutMs: number;
}

/** What a bind told beside its success. */
export interface BindFacts {
  /** Seconds until the password ends, when the policy control warned of it. */
  readonly expiresInSeconds: number | null;
  /** Logins left with a password that has already ended. */
  readonly graceLogins: number | null;
}

/** A page of a search. Referrals in it are told, not followed. */
export interface Page {
  readonly entries: readonly Entry[];
  readonly references: readonly string[];
}

/**
 * One connection, from its opening to its end: it never reconnects. The library would, by itself, and run the next request
 * as nobody. Every failure is an error of the catalogue, or `BindRefusedError`.
 */
export class LdapConnection {
  readonly host: string;
  readonly openedAtMs: number;
  readonly #client: Client;
  readonly #socket: GuardedSocket;

  private constructor(socket: GuardedSocket, options: ConnectionOptions, openedAtMs: number) {
    this.host = options.host;
    this.openedAtMs = openedAtMs;
    this.#socket = socket;
    let isTaken = false;
    this.#client = new Client({
      // What stands here is never connected to: the connection is brought along.
      url: 'ldap://connected.invalid',
      timeout: options.operationTimeoutMs,
      createConnection: () => {
        if (isTaken) throw new Error('This connection has ended.');
        isTaken = true;
        return socket;
      },
    });
  }

  static async open(
    options: ConnectionOptions,
    { clock, signal }: { clock: Clock; signal: AbortSignal },
  ): Promise<LdapConnection> {
    const socket = await openTransport(options, { clock, signal });
    return new LdapConnection(socket, options, clock.hostTime().ms);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  /** Simple bind, RFC 4513 §5.1.3. @throws BindRefusedError */
  async bind(dn: string, password: string, signal: AbortSignal): Promise<BindFacts> {
    // An unauthenticated bind (RFC 4513 §5.1.2) succeeds at many servers: whoever sends one believes anybody.
    if (dn.trim() === '' || password.trim() === '') throw new TypeError('A bind needs a DN and a password.');
    const policy = new PasswordPolicyControl();
    return this.#bound(policy, signal, () => this.#client.bind(dn, password, policy));
  }

  /** SASL EXTERNAL, RFC 4513 §5.2.3: the TLS client certificate says who we are. @throws BindRefusedError */
  async bindExternal(signal: AbortSignal): Promise<BindFacts> {
    const policy = new PasswordPolicyControl();
    return this.#bound(policy, signal, () => this.#client.bindSASL('EXTERNAL', '', policy));
  }

  /** "Who am I?" (RFC 4532): whom the server takes us for. `null` for nobody, and where it does not know the question. */
  async identity(signal: AbortSignal): Promise<string | null> {
    try {
      const { value = '' } = await this.#run(signal, () => this.#client.exop(WHO_AM_I));
      return value === '' ? null : value;
    } catch (error) {
      if (isCredentialError(error) && error.code === 'ERR_LDAP_REQUEST_REFUSED') return null;
      throw error;
    }
  }

  async search(baseDn: string, options: SearchOptions, signal: AbortSignal): Promise<Page> {
    const found = await this.#run(signal, () => this.#client.search(baseDn, options));
    return { entries: found.searchEntries, references: found.searchReferences };
  }

  /** Paged search, RFC 2696. */
  async *searchPages(
    baseDn: string,
    options: SearchOptions & { readonly pageSize: number },
    signal: AbortSignal,
  ): AsyncGenerator<Page> {
    const { pageSize, ...search } = options;
    const pages = this.#client.searchPaginated(baseDn, { ...search, paged: { pageSize } });
    for (;;) {
      const page = await this.#run(signal, () => pages.next());
      if (page.done === true) return;
      yield { entries: page.value.searchEntries, references: page.value.searchReferences };
    }
  }

  /** Password modify, RFC 3062: a change by who knows the old one, or a reset by who may. @throws PasswordRefusedError */
  async modifyPassword(
    fields: { readonly user: string | null; readonly old: string | null; readonly next: string },
    signal: AbortSignal,
  ): Promise<void> {
    const policy = new PasswordPolicyControl();
    const value = encodePasswordModify(fields);
    await this.#run(
      signal,
      () => this.#client.exop(PASSWORD_MODIFY, value, policy),
      (error) => refusedPassword(error, policy),
    );
  }

  /** Sets `unicodePwd` (MS-ADTS §3.1.1.3.1.5), in the same two ways. @throws PasswordRefusedError */
  async setUnicodePassword(
    dn: string,
    { old, next }: { readonly old: string | null; readonly next: string },
    signal: AbortSignal,
  ): Promise<void> {
    const value = (password: string): Attribute =>
      new Attribute({ type: 'unicodePwd', values: [Buffer.from(`"${password}"`, 'utf16le')] });
    const changes =
      old === null
        ? [new Change({ operation: 'replace', modification: value(next) })]
        : [
            new Change({ operation: 'delete', modification: value(old) }),
            new Change({ operation: 'add', modification: value(next) }),
          ];
    const policy = new PasswordPolicyControl();
    await this.#run(
      signal,
      () => this.#client.modify(dn, changes),
      (error) => refusedPassword(error, policy),
    );
  }

  /** Whether an idle connection keeps the process alive. */
  keepAlive(keep: boolean): void {
    if (keep) this.#socket.ref();
    else this.#socket.unref();
  }

  close(): void {
    this.#socket.destroy();
  }

  async #bound(policy: PasswordPolicyControl, signal: AbortSignal, bind: () => Promise<void>): Promise<BindFacts> {
    try {
      await this.#run(signal, bind, (error) =>
        isRefusedBind(error) ? new BindRefusedError(refusalOfBind(error, policy)) : null,
      );
      // A password that must be changed first binds, and may then do nothing else.
      const refusal = refusalOfPolicy(policy);
      if (refusal !== null) throw new BindRefusedError(refusal);
    } catch (error) {
      // After a bind that failed the connection is anonymous (RFC 4511 §4.2.1): nobody may have it.
      this.close();
      throw error;
    }
    const { timeBeforeExpiration = null, graceAuthNsRemaining = null } = policy.value ?? {};
    return { expiresInSeconds: timeBeforeExpiration, graceLogins: graceAuthNsRemaining };
  }

  async #run<T>(
    signal: AbortSignal,
    request: () => Promise<T>,
    meaning: (error: unknown) => Error | null = () => null,
  ): Promise<T> {
    signal.throwIfAborted();
    const abort = (): void => {
      this.close();
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await request();
    } catch (error) {
      signal.throwIfAborted();
      throw meaning(error) ?? this.#translated(error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #translated(error: unknown): CredentialError | BindRefusedError {
    if (isCredentialError(error)) return error;
    if (this.#socket.violation === null) return translateLdapError(error, this.host);
    return new ProtocolError(
      'ERR_LDAP_RESPONSE_INVALID',
      `${this.host} gave an answer that cannot be read: ${this.#socket.violation}`,
    );
  }
}
