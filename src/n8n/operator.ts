import type {
  IExecuteFunctions,
  ILoadOptionsFunctions,
  INodeListSearchItems,
  INodeListSearchResult,
  INodePropertyOptions,
} from 'n8n-workflow';
import type { CredentialSummary, OperatorHandle } from '../client.ts';
import { ConfigurationError } from '../errors.ts';
import { STATE_NAMES } from '../lifecycle/credential.ts';
import type { RecordFilter } from '../storage/record-store.ts';
import { operatorOf } from './credential-sources.ts';
import { openedClient } from './engine-registry.ts';
import { toHostError } from './errors.ts';
import { textsFrom } from './texts.ts';

export type { OperatorHandle, UseOptions } from '../client.ts';

const ACCESS = 'credentialLifecycleAccessApi';
const PAGE_SIZE = 1000;

/** The verbs that the node's access key allows for this item. */
export async function operatorFor(context: IExecuteFunctions, itemIndex: number): Promise<OperatorHandle> {
  const data = await context.getCredentials(ACCESS, itemIndex);
  return operatorOf(await openedClient(), data);
}

/** What the node says when a workflow holds an operation that it does not have. */
export function unknownOperation(): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "operation" names no operation of this node.');
}

/** Up to `limit` credentials, however many pages that takes. */
export async function listUpTo(
  operator: OperatorHandle,
  filter: RecordFilter,
  limit: number,
): Promise<CredentialSummary[]> {
  const found: CredentialSummary[] = [];
  let cursor: string | null = null;
  do {
    const page = { limit: Math.min(limit - found.length, PAGE_SIZE), ...(cursor !== null && { cursor }) };
    const { credentials, nextCursor } = await operator.list({ ...filter, ...page });
    found.push(...credentials);
    cursor = nextCursor;
  } while (cursor !== null && found.length < limit);
  return found;
}

/** The filters as a person entered them; empty ones do not count. Tags are separated by commas. */
export function filterFrom({
  ownerId,
  protocol,
  scopeId,
  state,
  tags,
}: Readonly<Record<string, unknown>>): RecordFilter {
  const stateName = STATE_NAMES.find((name) => name === state);
  const tagNames = textsFrom(tags);
  return {
    ...(isGiven(ownerId) && { ownerId }),
    ...(isGiven(protocol) && { protocol }),
    ...(isGiven(scopeId) && { scopeId }),
    ...(stateName && { state: stateName }),
    ...(tagNames.length > 0 && { tags: tagNames }),
  };
}

/** The choices of the credential picker: what the access key may list, by a part of name or id. */
export async function searchCredentials(
  this: ILoadOptionsFunctions,
  filter = '',
  paginationToken?: string,
): Promise<INodeListSearchResult> {
  try {
    const operator = await operatorOf(await openedClient(), await this.getCredentials(ACCESS));
    return await nextChoices(operator, filter.toLowerCase(), paginationToken ?? null);
  } catch (error) {
    throw toHostError(error);
  }
}

/** Choices of a field without search: what the access key may list, each value once. */
export const loadOptions = {
  getCredentials: choices(({ id, name, state }) => [{ name: `${name} (${state})`, value: id, description: id }]),
  getOwners: choices(({ ownerId }) => (ownerId === null ? [] : [{ name: ownerId, value: ownerId }])),
  getProtocols: choices(({ protocol }) => [{ name: protocol, value: protocol }]),
  getTags: choices(({ tags }) => tags.map((tag) => ({ name: tag, value: tag }))),
};

/** Enough for any list that a person looks through. */
const MOST_LOOKED_AT = 10_000;

function choices(of: (credential: CredentialSummary) => readonly INodePropertyOptions[]) {
  return async function load(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
    try {
      const operator = await operatorOf(await openedClient(), await this.getCredentials(ACCESS));
      const found = (await listUpTo(operator, {}, MOST_LOOKED_AT)).flatMap(of);
      const unique = new Map(found.map((choice) => [choice.value, choice]));
      return [...unique.values()].sort((a, b) => a.name.localeCompare(b.name));
    } catch (error) {
      throw toHostError(error);
    }
  };
}

/** Looks on until something fits: n8n takes an empty page for the end. */
export async function nextChoices(
  operator: Pick<OperatorHandle, 'list'>,
  wanted: string,
  from: string | null,
): Promise<INodeListSearchResult> {
  let cursor = from;
  for (;;) {
    const page = await operator.list({ limit: PAGE_SIZE, ...(cursor !== null && { cursor }) });
    const results: INodeListSearchItems[] = page.credentials
      .filter(({ id, name }) => `${name} ${id}`.toLowerCase().includes(wanted))
      .map(({ id, name, state }) => ({ name: `${name} (${state})`, value: id }));
    if (page.nextCursor === null) return { results };
    if (results.length > 0) return { results, paginationToken: page.nextCursor };
    cursor = page.nextCursor;
  }
}

function isGiven(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
