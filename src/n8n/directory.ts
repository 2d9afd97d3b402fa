import type { IExecuteFunctions, ILoadOptionsFunctions, INodeListSearchResult } from 'n8n-workflow';
import type { DirectoryHandle } from '../client.ts';
import { noDirectory } from '../directory-handle.ts';
import { ConfigurationError } from '../errors.ts';
import { lifecycleLdap, managedCredential } from './credential-sources.ts';
import { directoryFilter } from './directory-filter.ts';
import { openedClient } from './engine-registry.ts';
import { toHostError } from './errors.ts';

export type { DirectoryHandle } from '../client.ts';

const SOURCES = [lifecycleLdap, managedCredential] as const;
const PROTOCOL = 'ldap';
const MOST_CHOICES = 100;
/** Entries that others are below (RFC 4519 §3, and containers of Active Directory). */
const CONTAINERS = ['organization', 'organizationalUnit', 'domain', 'container'];

/** The directory of the credential that a person chose for the node. Nothing is asked of a credential of another protocol. */
export async function directoryFor(context: IExecuteFunctions, itemIndex: number): Promise<DirectoryHandle> {
  const source = sourceOf(context.getNodeParameter('authentication', itemIndex));
  const handle = await source.handle(await openedClient(), await context.getCredentials(source.type, itemIndex));
  if (handle.protocol !== PROTOCOL) throw noDirectory();
  const signal = context.getExecutionCancelSignal();
  return handle.directory({
    usedBy: { kind: 'n8nWorkflow', id: context.getWorkflow().id ?? '' },
    ...(signal && { signal }),
  });
}

/** Entries to start a search at, by a part of their name. */
export async function searchBases(this: ILoadOptionsFunctions, part = ''): Promise<INodeListSearchResult> {
  try {
    const source = sourceOf(this.getCurrentNodeParameter('authentication'));
    const handle = await source.handle(await openedClient(), await this.getCredentials(source.type));
    if (handle.protocol !== PROTOCOL) throw noDirectory();
    return await baseChoices(await handle.directory(), part.trim());
  } catch (error) {
    throw toHostError(error);
  }
}

export async function baseChoices(
  directory: Pick<DirectoryHandle, 'search'>,
  part: string,
): Promise<INodeListSearchResult> {
  const kinds = CONTAINERS.map((kind) => `(objectClass=${kind})`).join('');
  const names = ['ou', 'o', 'dc', 'cn'].map((attribute) => ({ attribute, operator: 'contains', value: part }));
  const named = part === '' ? '' : directoryFilter({ combine: 'any', conditions: names });
  const filter = `(&(|${kinds})${named})`;
  const { entries } = await directory.search({ filter, attributes: ['1.1'], limit: MOST_CHOICES });
  return { results: entries.map(({ dn }) => ({ name: dn, value: dn })).sort((a, b) => a.name.length - b.name.length) };
}

/** What the node says when a workflow holds an operation that it does not have. */
export function unknownOperation(): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "operation" names no operation of this node.');
}

/** People's passwords are no matter for a node that somebody else repeats. */
export function requireOneTry(context: Pick<IExecuteFunctions, 'getNode'>): void {
  const { retryOnFail, type } = context.getNode();
  if (type.endsWith('Tool')) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The field "operation" must not be "authenticate" in a tool: a model must neither see nor try passwords.',
    );
  }
  if (retryOnFail !== true) return;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The setting "Retry On Fail" must be off for "authenticate": each try counts towards a lockout.',
  );
}

function sourceOf(authentication: unknown): (typeof SOURCES)[number] {
  const source = SOURCES.find(({ type }) => type === authentication);
  if (source) return source;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "authentication" names no credential of this node.');
}
