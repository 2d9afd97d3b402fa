import type { CredentialError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import type { BeforeSend } from '../protocol.ts';
import { serverUrl, type LdapSecret, type LdapSettings } from './config.ts';
import { LdapConnection, type BindFacts, type ConnectionOptions } from './connection.ts';
import { BindRefusedError, refusedAccount } from './errors.ts';
import { FairGate } from './gate.ts';
import { ConnectionPool } from './pool.ts';

/** Nobody has to be told. */
const AT_ONCE: BeforeSend = () => Promise.resolve(() => undefined);

/** How long the answer to one login is believed by whoever wants another: a chain of questions costs one login. */
const BELIEVED_FOR_MS = 10_000;

interface Refusal {
  readonly error: CredentialError;
  readonly atMs: number;
}

export interface Login {
  readonly connection: LdapConnection;
  readonly facts: BindFacts;
}

/**
 * The account of a credential at its server: its logins, one at a time, and its pool. A login that was refused is not made
 * again for anybody who merely wants a connection, so a password that was changed elsewhere costs one failed login, not
 * one for every caller.
 */
export class DirectoryAccount {
  readonly settings: LdapSettings;
  readonly secret: LdapSecret;
  readonly host: string;
  readonly pool: ConnectionPool;
  /** Logins of users: each on a connection of its own. */
  readonly userBinds: FairGate;
  readonly #ports: Ports;
  readonly #logins: FairGate;
  #identity: string | null | undefined;
  #refusal: Refusal | null = null;

  constructor(settings: LdapSettings, secret: LdapSecret, ports: Ports) {
    const host = serverUrl(settings.url)?.host ?? '';
    const { clock } = ports;
    this.settings = settings;
    this.secret = secret;
    this.host = host;
    this.#ports = ports;
    const waitMs = settings.acquireTimeoutMs;
    this.#logins = new FairGate({ host, clock, places: 1, waitMs: waitMs + settings.operationTimeoutMs });
    this.userBinds = new FairGate({ host, clock, places: settings.maxUserBinds, waitMs });
    this.pool = new ConnectionPool({
      host,
      clock,
      limits: settings,
      open: (signal) => this.#openForPool(signal),
      prove: (connection, signal) => this.#prove(connection, signal),
    });
  }

  /** The name that the account binds with; `null` for a client certificate. */
  get bindDn(): string | null {
    return this.settings.bindMethod === 'external' ? null : (this.secret.activeBindDn ?? this.settings.bindDn ?? null);
  }

  /** Opens a connection that nobody is bound on. */
  async connect(signal: AbortSignal): Promise<LdapConnection> {
    return LdapConnection.open(connectionOptions(this.settings, this.secret), { clock: this.#ports.clock, signal });
  }

  /**
   * One login, on a new connection, because somebody asked for just that.
   *
   * Errors: those of a refused account, of an endpoint that cannot be reached, and `ERR_LDAP_TLS_FAILED`
   */
  async login(signal: AbortSignal, beforeBind: BeforeSend = AT_ONCE): Promise<Login> {
    return this.#logins.run(async () => {
      const refusal = this.#refusal;
      if (refusal !== null && this.#nowMs() - refusal.atMs < BELIEVED_FOR_MS) throw refusal.error;
      return this.#bind(signal, beforeBind);
    }, signal);
  }

  /** Who the server takes the account for; `null` where it cannot say. Asked once. */
  async identify(connection: LdapConnection, signal: AbortSignal): Promise<string | null> {
    if (this.#identity === undefined) this.#identity = await connection.identity(signal);
    return this.#identity;
  }

  /**
   * Runs a change of this account's password with no login of it under way. Once the change is made, nobody logs in with
   * the old one any more; connections that are bound stay so.
   */
  async replacing<T>(error: CredentialError, change: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#logins.run(async () => {
      const result = await change();
      this.#refusal = { error, atMs: Number.POSITIVE_INFINITY };
      return result;
    }, signal);
  }

  close(): void {
    this.pool.close();
  }

  async #openForPool(signal: AbortSignal): Promise<LdapConnection> {
    return this.#logins.run(async () => {
      if (this.#refusal !== null) throw this.#refusal.error;
      const { connection } = await this.#bind(signal, AT_ONCE);
      await this.identify(connection, signal);
      return connection;
    }, signal);
  }

  async #bind(signal: AbortSignal, beforeBind: BeforeSend): Promise<Login> {
    const connection = await this.connect(signal);
    try {
      const mayLeave = await beforeBind();
      mayLeave();
      const { bindDn, secret } = this;
      const facts =
        bindDn === null
          ? await connection.bindExternal(signal)
          : await connection.bind(bindDn, secret.password ?? '', signal);
      this.#refusal = null;
      return { connection, facts };
    } catch (error) {
      connection.close();
      if (!(error instanceof BindRefusedError)) throw error;
      const refused = refusedAccount(error.reason, this.host);
      this.#refusal = { error: refused, atMs: this.#nowMs() };
      throw refused;
    }
  }

  /** Alive, and still who it was: after a change at the server a connection may be bound as nobody. */
  async #prove(connection: LdapConnection, signal: AbortSignal): Promise<void> {
    const identity = this.#identity ?? null;
    if (identity === null) {
      await connection.search(this.settings.baseDn, { scope: 'base', attributes: ['1.1'] }, signal);
    } else if ((await connection.identity(signal)) !== identity) {
      throw new BindRefusedError('invalidCredentials');
    }
  }

  #nowMs(): number {
    return this.#ports.clock.hostTime().ms;
  }
}

export function protectionOf(settings: Pick<LdapSettings, 'url' | 'allowInsecureTransport'>) {
  if (serverUrl(settings.url)?.scheme === 'ldaps') return 'ldaps';
  return settings.allowInsecureTransport ? 'none' : 'startTls';
}

export function connectionOptions(settings: LdapSettings, secret: LdapSecret): ConnectionOptions {
  const url = serverUrl(settings.url);
  const { clientCertificate: certificate, clientKey: key } = secret;
  return {
    host: url?.host ?? '',
    port: url?.port ?? 0,
    protection: protectionOf(settings),
    ca: settings.ca ?? null,
    serverName: settings.serverName ?? null,
    clientCertificate: certificate === undefined || key === undefined ? null : { certificate, key },
    connectTimeoutMs: settings.connectTimeoutMs,
    operationTimeoutMs: settings.operationTimeoutMs,
  };
}
