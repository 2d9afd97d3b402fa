import { createHmac } from 'node:crypto';
import { TransientError } from '../../errors.ts';
import { canonicalJson, type JsonObject } from '../../json.ts';
import type { Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import type {
  BeforeSend,
  Confirmation,
  DriverInput,
  Issued,
  Material,
  MaterialInput,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
  TestTraits,
} from '../protocol.ts';
import { definedMembers } from '../schema.ts';
import { DirectoryAccount, protectionOf, type Login } from './account.ts';
import { identityOf, parseLdapConfig, parseLdapGrant, parseLdapSecret, withPreset, type LdapGrant } from './config.ts';
import { readEntry, textOf, textsOf } from './entries.ts';
import { LdapDirectory } from './ldap-directory.ts';
import { passwordExpiry, readAccountEntry } from './password-expiry.ts';
import { LdapRotation } from './rotation.ts';

type Stored = Pick<DriverInput, 'config' | 'registered'>;

/** The capability by which Active Directory says what it is (MS-ADTS §3.1.1.3.4.3.1). */
const ACTIVE_DIRECTORY = '1.2.840.113556.1.4.800';
const ROOT_DSE = ['vendorName', 'vendorVersion', 'supportedCapabilities', 'objectClass'];
const MOST_ACCOUNTS = 1_000;

/**
 * LDAP (RFC 4511) and Active Directory. There are no tokens: the grant is what a login taught, and the material is a
 * directory, whose connections are bound with the registered password.
 */
export class LdapDriver implements ProtocolDriver {
  readonly protocol = 'ldap';
  readonly materialNeedsSecret = true;
  readonly rotation: LdapRotation;
  readonly #ports: Ports;
  /** Accounts whose connections are kept, by a hash of settings and secret. Two processes never have the same key. */
  readonly #accounts = new Map<string, DirectoryAccount>();
  readonly #hashKey: Buffer;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#hashKey = ports.random.bytes(32);
    this.rotation = new LdapRotation(ports, {
      account: (stored) => this.#account(stored),
      issued: (login, account, signal) => this.#issued(login, account, signal),
    });
  }

  parseConfig(config: unknown): JsonObject {
    return definedMembers(parseLdapConfig(config));
  }

  parseSecret(secret: unknown, config: JsonObject): JsonObject {
    return definedMembers(parseLdapSecret(secret, parseLdapConfig(config)));
  }

  /** Everything but limits and times: two credentials of one account may let different people in. */
  identity(config: JsonObject): JsonObject {
    return definedMembers(identityOf(parseLdapConfig(config)));
  }

  endpoint(config: JsonObject): string {
    return parseLdapConfig(config).url;
  }

  testTraits(): TestTraits {
    // Without TLS that fits nothing is bound.
    return { isLogin: true, notPresented: ['ERR_LDAP_TLS_FAILED'] };
  }

  refreshTraits({ config }: Omit<DriverInput, 'signal'>): RefreshTraits {
    const { acquireTimeoutMs, connectTimeoutMs, operationTimeoutMs } = parseLdapConfig(config);
    const deadlineMs = acquireTimeoutMs + connectTimeoutMs + 4 * operationTimeoutMs;
    return { spends: null, reuseGraceMs: 0, deadlineMs };
  }

  /** One login. A refused one is not repeated: it may have counted towards a lockout. */
  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    const account = this.#account(input);
    const login = await account.login(input.signal, beforeSend);
    return this.#issued(login, account, input.signal);
  }

  material(_grant: Secret<JsonObject>, input?: MaterialInput): Pick<Material, 'headers' | 'directory'> {
    if (input === undefined) throw new TypeError('A directory is made of the registered secret.');
    const { config, registered } = input;
    const { bindDn, secret, settings } = this.#account({ config, registered });
    const password = secret.password === undefined || bindDn === null ? null : Secret.of(secret.password);
    const facts = { url: settings.url, bindDn, password };
    return { headers: {}, directory: new LdapDirectory(facts, () => this.#account({ config, registered })) };
  }

  /** Only a login could tell, and that is what a refresh is: asking first would make two of one. */
  confirm(): Promise<Confirmation> {
    return Promise.resolve('unconfirmable');
  }

  async test(input: DriverInput): Promise<TestResult> {
    const account = this.#account(input);
    const { settings, host } = account;
    const { clock } = this.#ports;
    const startedAt = clock.hostTime().ms;
    const { connection } = await account.login(input.signal);
    const base = await this.#keeping(account, connection, () =>
      connection.search(settings.baseDn, { scope: 'base', attributes: ['1.1'] }, input.signal),
    );
    const found = base.entries.length > 0;
    const vendor = input.grant === null ? null : parseLdapGrant(input.grant.unwrap()).vendor;
    return {
      success: found,
      message: found ? `${host} accepts the account.` : `${host} accepts the account, but it may not see the base DN.`,
      details: {
        latencyMs: clock.hostTime().ms - startedAt,
        endpoint: settings.url,
        permissionsVerified: found ? ['bind', 'search'] : ['bind'],
        metadata: { baseDn: settings.baseDn, tls: protectionOf(settings), ...(vendor !== null && { vendor }) },
      },
      testedAt: clock.now(),
    };
  }

  /** A directory knows no end of a login; its connections are ended. */
  revoke(input: DriverInput): Promise<'revoked' | 'unsupported'> {
    const key = this.#keyOf(input);
    this.#accounts.get(key)?.close();
    this.#accounts.delete(key);
    return Promise.resolve('unsupported');
  }

  close(): Promise<void> {
    for (const account of this.#accounts.values()) account.close();
    this.#accounts.clear();
    return Promise.resolve();
  }

  async #issued({ connection, facts }: Login, account: DirectoryAccount, signal: AbortSignal): Promise<Issued> {
    const now = this.#ports.clock.now();
    const { settings, bindDn } = account;
    return this.#keeping(account, connection, async () => {
      const identity = await account.identify(connection, signal);
      const entry = bindDn === null ? null : await readAccountEntry(connection, settings, bindDn, signal);
      const secretExpiresAt = await passwordExpiry(connection, settings, { entry, facts, now }, signal);
      const grant: LdapGrant = { identity, vendor: await vendorOf(account, connection, signal) };
      return {
        grant: Secret.of<JsonObject>(grant),
        issuedAt: now,
        expiresAt: null,
        refreshable: true,
        secretExpiresAt,
      };
    });
  }

  /** Does something with a connection that was just bound, and then gives it to the pool. */
  async #keeping<T>(account: DirectoryAccount, connection: Login['connection'], task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } finally {
      account.pool.adopt(connection);
    }
  }

  #account(stored: Stored): DirectoryAccount {
    const key = this.#keyOf(stored);
    const known = this.#accounts.get(key);
    if (known !== undefined) return known;
    for (const [other, account] of this.#accounts) {
      if (this.#accounts.size < MOST_ACCOUNTS) break;
      if (account.pool.size === 0) this.#accounts.delete(other);
    }
    if (this.#accounts.size >= MOST_ACCOUNTS) {
      throw new TransientError('ERR_LDAP_POOL_EXHAUSTED', 'Too many directory accounts are in use at once.');
    }
    const config = parseLdapConfig(stored.config);
    const secret = parseLdapSecret(stored.registered.unwrap(), config);
    const account = new DirectoryAccount(withPreset(config), secret, this.#ports);
    this.#accounts.set(key, account);
    return account;
  }

  #keyOf({ config, registered }: Stored): string {
    const text = canonicalJson([config, registered.unwrap()]);
    return createHmac('sha256', this.#hashKey).update(text).digest('base64');
  }
}

/** What kind of server it is, from its root entry (RFC 4512 §5.1), which anybody may read. */
async function vendorOf(
  account: DirectoryAccount,
  connection: Login['connection'],
  signal: AbortSignal,
): Promise<string | null> {
  const root = await readEntry(connection, '', { attributes: ROOT_DSE }, signal);
  if (root === null) return null;
  const vendor = [textOf(root, 'vendorName'), textOf(root, 'vendorVersion')].filter((part) => part !== null).join(' ');
  if (vendor !== '') return vendor.slice(0, 200);
  if (textsOf(root, 'supportedCapabilities').includes(ACTIVE_DIRECTORY)) return 'Active Directory';
  return textsOf(root, 'objectClass').includes('OpenLDAProotDSE') ? 'OpenLDAP' : null;
}
