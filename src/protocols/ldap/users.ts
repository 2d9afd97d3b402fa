import type {
  Authentication,
  AuthenticationRefusal,
  DirectoryEntry,
  DirectoryUser,
  UserOptions,
} from '../directory.ts';
import type { DirectoryAccount } from './account.ts';
import type { LdapSettings } from './config.ts';
import type { LdapConnection } from './connection.ts';
import { fillDnTemplate } from './dn.ts';
import { readEntry, searchEntries, textOf, textsOf } from './entries.ts';
import { BindRefusedError } from './errors.ts';
import { escapeLdapFilter, fillFilter } from './filter.ts';
import { groupsOf } from './groups.ts';

/** The one sentence for everybody who is not let in. */
export const NEUTRAL_REFUSAL = 'The user name or the password is not right.';

const USERNAME = /^\P{Cc}{1,256}$/u;
/** Active Directory binds by other kinds of names, too: DOMAIN\name, canonical names, SIDs. A part of a UPN is none of them. */
const UPN_LOCAL_PART = /^[^\s@\\/"[\]:;|=+*?<>,]{1,64}$/;

/** Somebody is not let in, for this reason. */
class Refused extends Error {
  readonly reason: AuthenticationRefusal;

  constructor(reason: AuthenticationRefusal) {
    super(reason);
    this.reason = reason;
  }
}

/** Proves a person's password: one bind, on a connection of its own that is closed afterwards. */
export async function authenticateUser(
  account: DirectoryAccount,
  { username, password }: { readonly username: string; readonly password: string },
  signal: AbortSignal,
): Promise<Authentication> {
  try {
    if (password.trim() === '') throw new Refused('emptyPassword');
    requireUsername(username);
    return { outcome: 'authenticated', user: await proven(account, username, password, signal) };
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof BindRefusedError)) throw error;
    return { outcome: 'refused', reason: error.reason, message: NEUTRAL_REFUSAL };
  }
}

/** The user of this name; `null` when there is none, or not just one. */
export async function findUser(
  account: DirectoryAccount,
  name: string,
  { by = 'username', nested = account.settings.nestedGroups }: Omit<UserOptions, 'signal'>,
  signal: AbortSignal,
): Promise<DirectoryUser | null> {
  try {
    requireUsername(name);
    const filter =
      by === 'username'
        ? fillFilter(account.settings.userFilter, 'username', name)
        : `(&(objectClass=person)(${by}=${escapeLdapFilter(name)}))`;
    return await account.pool.run(async (connection) => {
      const entry = await onlyEntry(account, connection, filter, signal);
      return userWith(entry, await groupsOf(connection, account.settings, { entry, nested }, signal));
    }, signal);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

function requireUsername(username: string): void {
  if (username.trim() === '' || !USERNAME.test(username)) throw new Refused('malformedUsername');
}

async function proven(
  account: DirectoryAccount,
  username: string,
  password: string,
  signal: AbortSignal,
): Promise<DirectoryUser> {
  const { settings, pool } = account;
  switch (settings.userAuthentication) {
    case 'search': {
      const entry = await pool.run((connection) => find(account, connection, username, signal), signal);
      await bindAs(account, entry.dn, password, signal);
      // Who has not proven himself makes the server walk through no groups.
      return isWhole(settings)
        ? userWith(entry, textsOf(entry, 'memberOf'))
        : pool.run((connection) => userOf(account, connection, entry, signal), signal);
    }
    case 'dnTemplate': {
      const dn = fillDnTemplate(settings.userDnTemplate ?? '', username);
      await bindAs(account, dn, password, signal);
      return pool.run(async (connection) => {
        const filter = fillFilter(settings.userFilter, 'username', username);
        const entry = await readEntry(connection, dn, { filter, attributes: attributesOf(account) }, signal);
        if (entry === null) throw new Refused('userNotFound');
        return userOf(account, connection, entry, signal);
      }, signal);
    }
    case 'upn': {
      const localPart = localPartOf(username, settings.upnDomain ?? '');
      const identity = await bindAs(account, `${localPart}@${settings.upnDomain ?? ''}`, password, signal);
      return pool.run(async (connection) => {
        const entry = await findByUpn(account, connection, localPart, signal);
        if (identity !== null && !isAccountName(entry, identity)) throw new Refused('ambiguousUser');
        return userOf(account, connection, entry, signal);
      }, signal);
    }
  }
}

/** Binds as a user. Returns who the server takes the user for, where it can say. */
async function bindAs(
  account: DirectoryAccount,
  name: string,
  password: string,
  signal: AbortSignal,
): Promise<string | null> {
  return account.userBinds.run(async () => {
    const connection = await account.connect(signal);
    try {
      await connection.bind(name, password, signal);
      return account.settings.userAuthentication === 'upn' ? await connection.identity(signal) : null;
    } finally {
      connection.close();
    }
  }, signal);
}

function localPartOf(username: string, domain: string): string {
  const suffix = `@${domain}`.toLowerCase();
  const localPart = username.toLowerCase().endsWith(suffix) ? username.slice(0, -suffix.length) : username;
  if (!UPN_LOCAL_PART.test(localPart)) throw new Refused('malformedUsername');
  return localPart;
}

async function find(
  account: DirectoryAccount,
  connection: LdapConnection,
  username: string,
  signal: AbortSignal,
): Promise<DirectoryEntry> {
  return onlyEntry(account, connection, fillFilter(account.settings.userFilter, 'username', username), signal);
}

/**
 * The user whom Active Directory lets in by this UPN: the one who has it as `userPrincipalName`, and only if nobody has, the
 * one whose account name it begins with (MS-ADTS §5.1.1.1.1). The user filter is asked about that very one.
 */
async function findByUpn(
  account: DirectoryAccount,
  connection: LdapConnection,
  localPart: string,
  signal: AbortSignal,
): Promise<DirectoryEntry> {
  const { upnDomain = '', userFilter } = account.settings;
  const upn = escapeLdapFilter(`${localPart}@${upnDomain}`);
  const named = await entriesOf(account, connection, `(userPrincipalName=${upn})`, signal);
  const name = named.length === 0 ? localPart : (textOf(onlyOf(named), 'sAMAccountName') ?? localPart);
  const entry = await onlyEntry(account, connection, fillFilter(userFilter, 'username', name), signal);
  if (named.length > 0 && onlyOf(named).dn !== entry.dn) throw new Refused('ambiguousUser');
  return entry;
}

/** "u:DOMAIN\name" (RFC 4513 §5.2.1.8, as Active Directory writes it). */
function isAccountName(entry: DirectoryEntry, identity: string): boolean {
  const name = identity.slice(identity.lastIndexOf('\\') + 1).toLowerCase();
  return !identity.startsWith('u:') || textOf(entry, 'sAMAccountName')?.toLowerCase() === name;
}

async function onlyEntry(
  account: DirectoryAccount,
  connection: LdapConnection,
  filter: string,
  signal: AbortSignal,
): Promise<DirectoryEntry> {
  return onlyOf(await entriesOf(account, connection, filter, signal));
}

function onlyOf([entry, ...others]: readonly DirectoryEntry[]): DirectoryEntry {
  if (entry === undefined) throw new Refused('userNotFound');
  if (others.length > 0) throw new Refused('ambiguousUser');
  return entry;
}

async function entriesOf(
  account: DirectoryAccount,
  connection: LdapConnection,
  filter: string,
  signal: AbortSignal,
): Promise<readonly DirectoryEntry[]> {
  const { settings } = account;
  const search = { baseDn: settings.userBaseDn, filter, attributes: attributesOf(account) };
  return (await searchEntries(connection, settings, search, signal)).entries;
}

function attributesOf({ settings }: DirectoryAccount): readonly string[] {
  const needed =
    settings.preset === 'activeDirectory' ? ['cn', 'mail', 'memberOf', 'sAMAccountName'] : ['cn', 'mail', 'memberOf'];
  return [...new Set([...settings.attributes, ...needed])];
}

async function userOf(
  { settings }: DirectoryAccount,
  connection: LdapConnection,
  entry: DirectoryEntry,
  signal: AbortSignal,
): Promise<DirectoryUser> {
  return userWith(entry, await groupsOf(connection, settings, { entry, nested: settings.nestedGroups }, signal));
}

/** Whether an entry by itself says everything about its groups. */
function isWhole(settings: LdapSettings): boolean {
  return settings.groups === 'memberOf' && !settings.nestedGroups;
}

function userWith(entry: DirectoryEntry, groups: readonly string[]): DirectoryUser {
  return { dn: entry.dn, cn: textOf(entry, 'cn'), mail: textOf(entry, 'mail'), groups, entry };
}
