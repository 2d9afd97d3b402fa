import type { CredentialPage, CredentialSummary } from '../client.ts';
import type { CredentialEngine } from '../engine.ts';
import { ConfigurationError, isCredentialError } from '../errors.ts';
import type { RecordFilter, UnreadableRecord } from '../storage/record-store.ts';

const PAGE = 1_000;
const LEAST_PREFIX = 6;

/** All credentials that a filter lets through, page by page, and the records that cannot be read. */
export async function allCredentials(
  engine: CredentialEngine,
  filter: RecordFilter = {},
): Promise<Omit<CredentialPage, 'nextCursor'>> {
  const credentials: CredentialSummary[] = [];
  const unreadable: UnreadableRecord[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<CredentialEngine['list']>> = await engine.list({
      ...filter,
      limit: PAGE,
      ...(cursor !== null && { cursor }),
    });
    credentials.push(...page.credentials);
    unreadable.push(...page.unreadable);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return { credentials, unreadable };
}

/**
 * Finds a credential by its id, by the first characters of it, or by its name when only one has that name.
 *
 * @throws ConfigurationError `ERR_CREDENTIAL_NOT_FOUND`
 */
export async function findCredential(engine: CredentialEngine, text: string): Promise<CredentialSummary> {
  try {
    return await engine.get(text);
  } catch (error) {
    if (!isCredentialError(error) || error.code !== 'ERR_CREDENTIAL_NOT_FOUND') throw error;
    return onlyMatch((await allCredentials(engine)).credentials, text);
  }
}

function onlyMatch(credentials: readonly CredentialSummary[], text: string): CredentialSummary {
  const named = credentials.filter(({ name }) => name === text);
  const matches =
    named.length > 0 || text.length < LEAST_PREFIX ? named : credentials.filter(({ id }) => id.startsWith(text));
  const [first, second] = matches;
  if (first && !second) return first;
  const message = second
    ? `More than one credential is called "${text}"; use the id.`
    : `There is no credential "${text}".`;
  throw new ConfigurationError('ERR_CREDENTIAL_NOT_FOUND', message);
}
