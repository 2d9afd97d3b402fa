import { STATUS_CODES } from 'node:http';
import { z } from 'zod/v4';
import { ConfigurationError, ProtocolError, type CredentialError } from '../../errors.ts';

/** A credential as n8n lists it. */
export interface ListedCredential {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  /** When somebody changed it in n8n last; `null` when n8n does not say. */
  readonly changedAt: Date | null;
}

export interface ListedPage {
  readonly credentials: readonly ListedCredential[];
  readonly nextCursor: string | null;
}

/** What n8n says of one credential. `untestable`: n8n has no test for its type. */
export type N8nVerdict =
  { readonly verdict: 'passed' | 'untestable' | 'gone' } | { readonly verdict: 'failed'; readonly why: string };

const listedSchema = z.object({
  id: z.string().regex(/^[\w-]{1,64}$/),
  name: z.string(),
  type: z.string().regex(/^[\w.@/-]{1,200}$/),
  updatedAt: z.iso.datetime().nullish(),
});
const pageSchema = z.object({ data: z.array(listedSchema), nextCursor: z.string().max(2_000).nullish() });
const testSchema = z.object({ status: z.enum(['OK', 'Error']), message: z.string().default('') });

const NO_TEST = 'No testing function found for this credential.';
/** n8n's own words for an OAuth2 credential that nobody has connected. */
const NOT_CONNECTED = /^This OAuth2 credential was not connected/;
const NETWORK_CODE = /^E[A-Z_]{3,40}$/;
const STATUS = /^Received HTTP status code: (\d{3})$/;
const REASON_PHRASES = new Set(Object.values(STATUS_CODES));

/** @throws CredentialError `ERR_N8N_*` */
export async function processListResponse(response: Response, url: string): Promise<ListedPage> {
  requireAnswered(response, url, 'credential:list');
  if (response.status === 404) throw missingApi(url);
  const { data, nextCursor } = await parseBody(response, pageSchema, url);
  const credentials = data.map(({ id, name, type, updatedAt }) => ({
    ...{ id, type, name: printable(name) },
    changedAt: typeof updatedAt === 'string' ? new Date(updatedAt) : null,
  }));
  return { credentials, nextCursor: nextCursor ?? null };
}

/** Whether the credential is there. @throws CredentialError `ERR_N8N_*` */
export function processGetResponse(response: Response, url: string): boolean {
  requireAnswered(response, url, 'credential:read');
  if (response.status === 404) return false;
  if (response.ok) return true;
  throw invalid(url, response.status);
}

/** @throws CredentialError `ERR_N8N_*` */
export async function processTestResponse(response: Response, url: string): Promise<N8nVerdict> {
  requireAnswered(response, url, 'credential:read');
  if (response.status === 404) return { verdict: 'gone' };
  const { status, message } = await parseBody(response, testSchema, url);
  if (status === 'OK') return { verdict: 'passed' };
  return message === NO_TEST ? { verdict: 'untestable' } : { verdict: 'failed', why: reasonOf(message) };
}

/**
 * Why a test failed, in words that are known to hold nothing of the credential: what else n8n says may quote the answer of a
 * server, and that may quote what it was sent.
 */
function reasonOf(message: string): string {
  const status = STATUS.exec(message)?.[1];
  if (status !== undefined) return `Its service answered HTTP ${status}.`;
  if (REASON_PHRASES.has(message)) return `Its service answered: ${message}.`;
  if (NETWORK_CODE.test(message)) return `n8n cannot reach its service (${message}).`;
  if (NOT_CONNECTED.test(message)) return 'Nobody has connected it in n8n.';
  return 'Open it in n8n to read why.';
}

function requireAnswered({ status }: Response, url: string, scope: string): void {
  const { host } = new URL(url);
  if (status === 401)
    throw new ConfigurationError('ERR_N8N_KEY_REFUSED', `${host} does not accept the API key (HTTP 401).`);
  if (status === 403) {
    throw new ConfigurationError(
      'ERR_N8N_SCOPE_MISSING',
      `The API key for ${host} lacks the scope ${scope} (HTTP 403).`,
    );
  }
}

async function parseBody<T>(response: Response, schema: z.ZodType<T>, url: string): Promise<T> {
  if (!response.ok) throw invalid(url, response.status);
  const body: unknown = await response.json().catch(() => null);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw invalid(url, response.status);
}

function missingApi(url: string): CredentialError {
  return new ConfigurationError('ERR_N8N_API_MISSING', `There is no public API of n8n at ${url}/api/v1 (HTTP 404).`);
}

function invalid(url: string, status: number): CredentialError {
  const { host } = new URL(url);
  return new ProtocolError(
    'ERR_N8N_ANSWER_INVALID',
    `${host} answers unlike n8n's public API (HTTP ${String(status)}).`,
  );
}

/** Names are printed on terminals and in logs. */
function printable(name: string): string {
  const text = name.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return text === '' ? '(no name)' : text.slice(0, 200);
}
