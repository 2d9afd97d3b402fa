import { ProtocolError } from '../../errors.ts';
import type { Ports } from '../../ports.ts';
import { boundedFetch } from '../bounded-fetch.ts';
import { parseN8nUrl, type N8nConnection } from './config.ts';
import { getCredentialRequest, listCredentialsRequest, testCredentialRequest, type Exchange } from './request.ts';
import {
  processGetResponse,
  processListResponse,
  processTestResponse,
  type ListedCredential,
  type N8nVerdict,
} from './response.ts';

/** A test asks a service of somebody else, through n8n. */
const BOUNDS = { deadlineMs: 29_000, maxBodyBytes: 4_194_304 };
const MOST_PAGES = 200;

/**
 * The part of n8n's public API (version 1) that watching needs. It reads and tests; it has no method that changes anything.
 *
 * Errors of all methods: `ERR_N8N_KEY_REFUSED`, `ERR_N8N_SCOPE_MISSING`, `ERR_N8N_API_MISSING`, `ERR_N8N_ANSWER_INVALID`,
 * `ERR_ENDPOINT_*`.
 */
export class N8nApi {
  readonly url: string;
  readonly #connection: N8nConnection;
  readonly #fetch: Exchange['fetch'];

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` for a URL that the key must not go to */
  constructor(connection: N8nConnection, ports: Pick<Ports, 'fetch' | 'clock'>) {
    this.url = parseN8nUrl(connection.url, 'The URL of n8n', connection.allowInsecureTransport);
    this.#connection = { ...connection, url: this.url };
    this.#fetch = boundedFetch(ports.fetch, () => ports.clock.now(), BOUNDS);
  }

  /** All credentials that the key's owner sees, each once. */
  async list(signal: AbortSignal): Promise<readonly ListedCredential[]> {
    const found = new Map<string, ListedCredential>();
    let cursor: string | null = null;
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const response = await listCredentialsRequest(this.#exchange(signal), { cursor });
      const page = await processListResponse(response, this.url);
      for (const credential of page.credentials) found.set(credential.id, credential);
      cursor = page.nextCursor;
      if (cursor === null) return [...found.values()];
    }
    throw new ProtocolError('ERR_N8N_ANSWER_INVALID', `${new URL(this.url).host} lists credentials without an end.`);
  }

  /** Whether the key may do what watching needs. */
  async check(signal: AbortSignal): Promise<void> {
    const response = await listCredentialsRequest(this.#exchange(signal), { cursor: null, limit: 1 });
    const [first] = (await processListResponse(response, this.url)).credentials;
    if (first !== undefined) await this.exists(first.id, signal);
  }

  async exists(id: string, signal: AbortSignal): Promise<boolean> {
    return processGetResponse(await getCredentialRequest(this.#exchange(signal), id), this.url);
  }

  /** Has n8n test the credential with what it has stored. */
  async test(id: string, signal: AbortSignal): Promise<N8nVerdict> {
    return processTestResponse(await testCredentialRequest(this.#exchange(signal), id), this.url);
  }

  #exchange(signal: AbortSignal): Exchange {
    return { connection: this.#connection, fetch: this.#fetch, signal };
  }
}
