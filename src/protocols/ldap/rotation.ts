import { ConfigurationError, isCredentialError, TransientError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import type { DriverInput, Issued, RotationDriver, RotationInput, RotationOverlap } from '../protocol.ts';
import { definedMembers } from '../schema.ts';
import { DirectoryAccount, type Login } from './account.ts';
import { parseLdapConfig, parseLdapSecret, withPreset, type LdapConfig, type LdapSecret } from './config.ts';
import type { LdapConnection } from './connection.ts';
import { PasswordRefusedError } from './errors.ts';
import { newPassword } from '../new-password.ts';
import { passwordChangedAt, readAccountEntry } from './password-expiry.ts';

type Stored = Pick<DriverInput, 'config' | 'registered'>;

/** What the driver lends to its rotation. */
export interface RotationTools {
  account(stored: Stored): DirectoryAccount;
  issued(login: Login, account: DirectoryAccount, signal: AbortSignal): Promise<Issued>;
}

/** A password that one account is to have, and those that it may have now, the likeliest first. */
interface Replacement {
  readonly config: LdapConfig;
  /** What is in use: its account reads, where it is another one. */
  readonly registered: LdapSecret;
  readonly bindDn: string;
  readonly wanted: string;
  readonly known: readonly string[];
  readonly signal: AbortSignal;
}

/** Logins that one step may make in search of the right password: the last one at most may have been preceded by a failed one. */
const MOST_LOGINS = 2;

/**
 * Replaces the password of the account by RFC 3062, or by `unicodePwd` in Active Directory; always by one of ours, because a
 * generated one would come back in an answer that can get lost.
 *
 * - `none`: one account. From `set` on its old password is dead.
 * - `standby`: two accounts alternate. The new password is that of the one that is not in use; the one that was in use keeps
 *   its password until it is retired, and then gets one that the new secret already holds.
 *
 * With `rotatorDn` another account resets passwords and nothing is ever tried; without it an account changes its own.
 */
export class LdapRotation implements RotationDriver {
  readonly #ports: Ports;
  readonly #tools: RotationTools;

  constructor(ports: Ports, tools: RotationTools) {
    this.#ports = ports;
    this.#tools = tools;
  }

  overlap(config: JsonObject): RotationOverlap {
    return parseLdapConfig(config).standbyBindDn === undefined ? 'none' : 'standby';
  }

  lockoutWindowMs(config: JsonObject): number {
    return parseLdapConfig(config).lockoutWindowMs;
  }

  accounts(input: Omit<DriverInput, 'signal'>): { readonly rotated: string; readonly secondPrincipal: string | null } {
    const { config, secret } = opened(input);
    return { rotated: otherAccount(config, secret), secondPrincipal: config.rotatorDn ?? null };
  }

  create(input: DriverInput & { readonly previous: Secret<JsonObject> | null }): Promise<Secret<JsonObject>> {
    const { config, secret } = opened(input);
    const next = this.#newPassword();
    const madeAt = this.#ports.clock.now().toISOString();
    const { formerPassword: _former, ...kept } = secret;
    if (config.standbyBindDn === undefined)
      return Promise.resolve(Secret.of(definedMembers({ ...kept, password: next, madeAt })));
    const activeBindDn = otherAccount(config, secret);
    // Where the retirement of the last rotation was never made, the account still has the password of then.
    const previous = input.previous === null ? null : parseLdapSecret(input.previous.unwrap(), config);
    const formerPassword = previous === null ? undefined : passwordOf(config, previous, activeBindDn);
    return Promise.resolve(
      Secret.of(
        definedMembers({
          ...kept,
          activeBindDn,
          password: next,
          standbyPassword: this.#newPassword(),
          formerPassword: formerPassword ?? undefined,
          madeAt,
        }),
      ),
    );
  }

  async set(input: RotationInput): Promise<void> {
    const { config, secret: registered } = opened(input);
    const candidate = parseLdapSecret(input.candidate.unwrap(), config);
    const bindDn = accountOf(config, candidate);
    const known = [passwordOf(config, registered, bindDn), candidate.formerPassword ?? null];
    const replacement: Replacement = {
      config,
      registered,
      bindDn,
      wanted: candidate.password ?? '',
      known: known.filter((password) => password !== null),
      signal: input.signal,
    };
    const order = input.resumed ? await this.#orderOf(replacement, candidate) : replacement.known;
    // Nobody logs in with the old password while it is being replaced, nor ever after.
    const inUse = bindDn === accountOf(config, registered) ? this.#tools.account(input) : null;
    const replace = (): Promise<void> => this.#replace(replacement, order, input.resumed);
    if (inUse === null) await replace();
    else await inUse.replacing(REPLACED, replace, input.signal);
  }

  /** One login with the candidate. */
  async test(input: RotationInput): Promise<Issued> {
    const account = this.#tools.account({ config: input.config, registered: input.candidate });
    return this.#tools.issued(await account.login(input.signal), account, input.signal);
  }

  /** Nothing at the directory points at a password. */
  finish(): Promise<void> {
    return Promise.resolve();
  }

  /** The retired account gets the password that the secret in use has for it: the one that it had is dead afterwards. */
  async retire(input: DriverInput & { readonly retired: Secret<JsonObject> }): Promise<'retired' | 'unsupported'> {
    const { config, secret: registered } = opened(input);
    const retired = parseLdapSecret(input.retired.unwrap(), config);
    const bindDn = accountOf(config, retired);
    const wanted = passwordOf(config, registered, bindDn) ?? this.#newPassword();
    const old = retired.password ?? '';
    if (old === wanted) return 'retired';
    const replacement = { config, registered, bindDn, wanted, known: [old], signal: input.signal };
    const isInUse = bindDn === accountOf(config, registered);
    // After a rotation of one account its password is the wanted one already; of two, it is the old one.
    await this.#replace(replacement, isInUse ? [wanted, old] : [old, wanted], true);
    return 'retired';
  }

  /** Which password an account has after an interruption, by when it was changed; without that, the candidate first. */
  async #orderOf(replacement: Replacement, candidate: LdapSecret): Promise<readonly string[]> {
    const { wanted, known } = replacement;
    const changedAt = await this.#changedAt(replacement);
    const madeAt = candidate.madeAt === undefined ? null : new Date(candidate.madeAt);
    const isUnchanged = changedAt !== null && madeAt !== null && changedAt.getTime() < madeAt.getTime() - 1_000;
    return isUnchanged ? [...known, wanted] : [wanted, ...known];
  }

  /** When the password was last changed, as a second principal sees it; `null` without one that may see it. */
  async #changedAt({ config, registered, bindDn, signal }: Replacement): Promise<Date | null> {
    const [reader, password] =
      config.rotatorDn === undefined
        ? [accountOf(config, registered), registered.password]
        : [config.rotatorDn, registered.rotatorPassword];
    if (reader === bindDn || password === undefined) return null;
    return this.#bound(config, { bindDn: reader, password }, signal, async (connection, { settings }) => {
      const entry = await readAccountEntry(connection, settings, bindDn, signal);
      return entry === null ? null : passwordChangedAt(entry);
    });
  }

  async #replace(replacement: Replacement, order: readonly string[], resumed: boolean): Promise<void> {
    try {
      if (replacement.config.rotatorDn === undefined) await this.#change(replacement, order);
      else await this.#reset(replacement, replacement.config.rotatorDn, resumed);
    } catch (error) {
      if (!(error instanceof PasswordRefusedError)) throw error;
      throw new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The directory does not take the new password.');
    }
  }

  /** The account changes its own password. */
  async #change({ config, bindDn, wanted, signal }: Replacement, order: readonly string[]): Promise<void> {
    for (const [index, password] of order.slice(0, MOST_LOGINS).entries()) {
      const isLast = index === Math.min(order.length, MOST_LOGINS) - 1;
      try {
        await this.#bound(config, { bindDn, password }, signal, async (connection, account) => {
          if (password !== wanted) await write(connection, account, { bindDn, old: password, next: wanted }, signal);
        });
        return;
      } catch (error) {
        if (isLast || !isRefused(error)) throw error;
      }
    }
    throw new ConfigurationError('ERR_LDAP_INVALID_CREDENTIALS', `No password of ${bindDn} is known.`);
  }

  /** Another account resets it. Doing so again does no harm, but a policy may not take the same password twice. */
  async #reset(
    { config, registered, bindDn, wanted, signal }: Replacement,
    rotatorDn: string,
    resumed: boolean,
  ): Promise<void> {
    const rotator = { bindDn: rotatorDn, password: registered.rotatorPassword ?? '' };
    try {
      await this.#bound(config, rotator, signal, (connection, account) =>
        write(connection, account, { bindDn, old: null, next: wanted }, signal),
      );
    } catch (error) {
      if (!resumed || !(error instanceof PasswordRefusedError)) throw error;
      await this.#bound(config, { bindDn, password: wanted }, signal, () => Promise.resolve()).catch(
        (cause: unknown) => {
          throw isRefused(cause) ? error : cause;
        },
      );
    }
  }

  /** Does something on a connection of its own, bound as this account. One login. */
  async #bound<T>(
    config: LdapConfig,
    { bindDn, password }: { readonly bindDn: string; readonly password: string },
    signal: AbortSignal,
    task: (connection: LdapConnection, account: DirectoryAccount) => Promise<T>,
  ): Promise<T> {
    const { standbyBindDn: _standby, rotatorDn: _rotator, ...rest } = config;
    const account = new DirectoryAccount(withPreset({ ...rest, bindDn }), { password }, this.#ports);
    const { connection } = await account.login(signal);
    try {
      return await task(connection, account);
    } finally {
      connection.close();
    }
  }

  #newPassword(): string {
    return newPassword(this.#ports.random);
  }
}

const REPLACED = new TransientError(
  'ERR_ROTATION_IN_PROGRESS',
  'The password of this account was replaced. Take the credential again.',
);

function opened({ config, registered }: Stored): { readonly config: LdapConfig; readonly secret: LdapSecret } {
  const parsed = parseLdapConfig(config);
  if (parsed.bindMethod !== 'simple') {
    throw new ConfigurationError('ERR_ROTATION_UNSUPPORTED', 'This account has a certificate and no password.');
  }
  return { config: parsed, secret: parseLdapSecret(registered.unwrap(), parsed) };
}

function isRefused(error: unknown): boolean {
  return isCredentialError(error) && error.code === 'ERR_LDAP_INVALID_CREDENTIALS';
}

/** The account that a secret's password belongs to. */
function accountOf(config: LdapConfig, secret: LdapSecret): string {
  return secret.activeBindDn ?? config.bindDn ?? '';
}

/** The account whose password the next rotation replaces. */
function otherAccount(config: LdapConfig, secret: LdapSecret): string {
  const { bindDn = '', standbyBindDn } = config;
  return standbyBindDn === undefined || accountOf(config, secret) !== bindDn ? bindDn : standbyBindDn;
}

function passwordOf(config: LdapConfig, secret: LdapSecret, bindDn: string): string | null {
  const password = accountOf(config, secret) === bindDn ? secret.password : secret.standbyPassword;
  return password ?? null;
}

async function write(
  connection: LdapConnection,
  { settings }: DirectoryAccount,
  { bindDn, old, next }: { readonly bindDn: string; readonly old: string | null; readonly next: string },
  signal: AbortSignal,
): Promise<void> {
  if (settings.preset === 'openldap') return connection.modifyPassword({ user: bindDn, old, next }, signal);
  const entry = await readAccountEntry(connection, settings, bindDn, signal);
  if (entry === null) {
    throw new ConfigurationError(
      'ERR_LDAP_REQUEST_REFUSED',
      'The account whose password is replaced is not to be found.',
    );
  }
  return connection.setUnicodePassword(entry.dn, { old, next }, signal);
}
