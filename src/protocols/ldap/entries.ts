import type { Entry } from 'ldapts';
import { ConfigurationError, isCredentialError } from '../../errors.ts';
import type { DirectoryEntry, DirectoryResult, DirectorySearch } from '../directory.ts';
import type { LdapSettings } from './config.ts';
import type { LdapConnection } from './connection.ts';

/** An entry of the library as ours: every attribute a list, and no name that an object could mistake for its own. */
export function entryOf({ dn, ...attributes }: Entry): DirectoryEntry {
  return {
    dn,
    attributes: new Map(
      Object.entries(attributes).flatMap(([name, value]) => {
        const values = Array.isArray(value) ? value : [value];
        // The library adds the attributes that were asked for and are not there.
        return values.length === 0 ? [] : [[name, values]];
      }),
    ),
  };
}

/** The values of an attribute that are text. Names of attributes have no case (RFC 4512 §2.5). */
export function textsOf(entry: DirectoryEntry, name: string): readonly string[] {
  const wanted = name.toLowerCase();
  for (const [attribute, values] of entry.attributes) {
    if (attribute.toLowerCase() === wanted) return values.filter((value) => typeof value === 'string');
  }
  return [];
}

export function textOf(entry: DirectoryEntry, name: string): string | null {
  return textsOf(entry, name)[0] ?? null;
}

/**
 * A search in pages, RFC 2696.
 *
 * @throws ConfigurationError `ERR_LDAP_REQUEST_REFUSED` when more is found than the settings allow
 */
export async function searchEntries(
  connection: LdapConnection,
  settings: Pick<LdapSettings, 'baseDn' | 'pageSize' | 'maxEntries'>,
  search: DirectorySearch,
  signal: AbortSignal,
): Promise<DirectoryResult> {
  const { baseDn = settings.baseDn, scope = 'sub', filter = '(objectClass=*)', attributes = ['*'], limit } = search;
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
    throw new TypeError('Expected a limit of 1 or more.');
  const entries: DirectoryEntry[] = [];
  const references: string[] = [];
  const pageSize = Math.min(settings.pageSize, limit ?? settings.pageSize);
  const options = { scope, filter, attributes: [...attributes], pageSize };
  for await (const page of connection.searchPages(baseDn, options, signal)) {
    entries.push(...page.entries.map(entryOf));
    references.push(...page.references);
    if (limit !== undefined && entries.length >= limit) return { entries: entries.slice(0, limit), references };
    if (entries.length + references.length > settings.maxEntries) {
      throw new ConfigurationError(
        'ERR_LDAP_REQUEST_REFUSED',
        `The search found more than ${String(settings.maxEntries)} entries (maxEntries).`,
      );
    }
  }
  return { entries, references };
}

/** One entry by its name; `null` when there is none that the account may see. */
export async function readEntry(
  connection: LdapConnection,
  dn: string,
  { filter = '(objectClass=*)', attributes }: { readonly filter?: string; readonly attributes: readonly string[] },
  signal: AbortSignal,
): Promise<DirectoryEntry | null> {
  try {
    const { entries } = await connection.search(dn, { scope: 'base', filter, attributes: [...attributes] }, signal);
    const [entry] = entries;
    return entry === undefined ? null : entryOf(entry);
  } catch (error) {
    // Servers say "no such object" where others show nothing.
    if (isCredentialError(error) && error.code === 'ERR_LDAP_REQUEST_REFUSED') return null;
    throw error;
  }
}
