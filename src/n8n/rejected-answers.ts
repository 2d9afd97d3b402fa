import { createHash } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import { ClientRequest, IncomingMessage } from 'node:http';
import type { CredentialHandle } from '../client.ts';
import { toCredentialError } from '../errors.ts';
import type { Logger } from '../ports.ts';
import { hostLogger } from './logger.ts';

/** What Node tells of each answer to a request by `node:http`, https too. n8n's request helpers use nothing else. */
const ANSWERS = 'http.client.response.finish';
const UNAUTHORIZED = 401;

/** Material as requests of this process carry it. */
interface Carried {
  readonly handle: CredentialHandle;
  readonly generation: number;
}

/**
 * Notices that an API refused a token, where n8n does not tell.
 *
 * Node's diagnostics channel names request and answer of this process. Of an answer 401 the digest of the request's `Authorization` is looked
 * up among those that were handed out; nothing else of anybody's request is read, and nothing of it is changed or kept.
 */
export class RejectedAnswers {
  readonly #carried = new Map<string, Carried>();
  readonly #digests = new Map<string, string>();
  readonly #reports = new Map<string, Promise<void>>();
  readonly #logger: Logger;
  #listens = false;

  constructor(logger: Logger = hostLogger) {
    this.#logger = logger;
  }

  /** From now on an answer 401 to this `Authorization` is reported as a rejection of that generation. */
  watch(authorization: string, handle: CredentialHandle, generation: number): void {
    this.#listen();
    const digest = digestOf(authorization);
    // One that was replaced needs no report: the engine has a newer one.
    const former = this.#digests.get(handle.id);
    if (former !== undefined && former !== digest) this.#carried.delete(former);
    this.#digests.set(handle.id, digest);
    this.#carried.set(digest, { handle, generation });
  }

  /** When what was rejected until now has been dealt with. */
  async settled(credentialId: string): Promise<void> {
    await this.#reports.get(credentialId);
  }

  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    subscribe(ANSWERS, (message) => {
      this.#answered(message);
    });
  }

  /** Never throws: Node would end the process. */
  #answered(message: unknown): void {
    const authorization = refusedIn(message);
    if (authorization === null) return;
    const carried = this.#carried.get(digestOf(authorization));
    if (carried === undefined || this.#reports.has(carried.handle.id)) return;
    const { id } = carried.handle;
    const report = this.#report(carried).finally(() => this.#reports.delete(id));
    this.#reports.set(id, report);
  }

  async #report({ handle, generation }: Carried): Promise<void> {
    try {
      await handle.reportRejected(generation);
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#logger.warn(
        { credentialId: handle.id, code },
        'An API refused a token, and that could not be looked into.',
      );
    }
  }
}

/** What the request carried that was answered 401; `null` for any other. */
function refusedIn(message: unknown): string | null {
  if (typeof message !== 'object' || message === null || !('request' in message) || !('response' in message))
    return null;
  const { request, response } = message;
  if (!(response instanceof IncomingMessage) || response.statusCode !== UNAUTHORIZED) return null;
  const authorization = request instanceof ClientRequest ? request.getHeader('authorization') : undefined;
  return typeof authorization === 'string' ? authorization : null;
}

/** Of the token alone: some nodes send it without the scheme. */
function digestOf(authorization: string): string {
  return createHash('sha256')
    .update(authorization.slice(authorization.lastIndexOf(' ') + 1))
    .digest('base64');
}
