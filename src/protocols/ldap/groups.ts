import type { DirectoryEntry } from '../directory.ts';
import type { LdapSettings } from './config.ts';
import type { LdapConnection } from './connection.ts';
import { readEntry, searchEntries, textsOf } from './entries.ts';
import { escapeLdapFilter, fillFilter } from './filter.ts';

/** LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS §3.1.1.3.4.4.3: the server itself walks from group to group. */
const IN_CHAIN = '1.2.840.113556.1.4.1941';

/** Names of the groups that an entry is in: directly, or (`nested`) through other groups, too. */
export async function groupsOf(
  connection: LdapConnection,
  settings: LdapSettings,
  { entry, nested }: { readonly entry: DirectoryEntry; readonly nested: boolean },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { dn } = entry;
  if (nested && settings.preset === 'activeDirectory') {
    const filter = `(&(objectClass=group)(member:${IN_CHAIN}:=${escapeLdapFilter(dn)}))`;
    return search(connection, settings, filter, signal);
  }
  const direct =
    settings.groups === 'memberOf'
      ? textsOf(entry, 'memberOf')
      : await search(connection, settings, fillFilter(settings.groupFilter, 'dn', dn), signal);
  return nested ? walk(connection, settings, direct, signal) : direct;
}

async function search(
  connection: LdapConnection,
  settings: LdapSettings,
  filter: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const wanted = { baseDn: settings.groupBaseDn, filter, attributes: ['1.1'] };
  const { entries } = await searchEntries(connection, settings, wanted, signal);
  return entries.map(({ dn }) => dn);
}

/** From group to group, each visited once: groups may hold each other. */
async function walk(
  connection: LdapConnection,
  settings: LdapSettings,
  direct: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = new Map(direct.map((dn) => [dn.toLowerCase(), dn]));
  // A map shows what is added while it is walked.
  for (const dn of found.values()) {
    for (const parent of await parentsOf(connection, settings, dn, signal)) {
      if (found.size < settings.maxEntries && !found.has(parent.toLowerCase())) found.set(parent.toLowerCase(), parent);
    }
  }
  return [...found.values()];
}

async function parentsOf(
  connection: LdapConnection,
  settings: LdapSettings,
  dn: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (settings.groups === 'search') {
    return search(connection, settings, fillFilter(settings.groupFilter, 'dn', dn), signal);
  }
  const group = await readEntry(connection, dn, { attributes: ['memberOf'] }, signal);
  return group === null ? [] : textsOf(group, 'memberOf');
}
