import { z } from 'zod/v4';
import type { CredentialSummary } from './client.ts';
import { ConfigurationError } from './errors.ts';
import { beginAuthorization, completeAuthorization, type Completed } from './lifecycle/authorization.ts';
import type { Awakening } from './lifecycle/awakening.ts';
import type { CredentialId, CredentialRecord } from './lifecycle/credential.ts';
import { requireRecord, type Surroundings } from './lifecycle/effects.ts';
import type { AuthorizationPrompt } from './protocols/protocol.ts';

export interface AuthorizeOptions {
  /** Where the authorization server sends the browser back to. Without it the person gets a code to enter elsewhere. */
  readonly redirectUri?: string;
  /** Whatever names the session of the person who begins; the answer then counts in the same session only. */
  readonly session?: string;
  readonly signal?: AbortSignal;
}

/** A sign-in that waits for a person. The URL and the user code are for that person alone. */
export type Authorization = AuthorizationPrompt & { readonly authorizationId: string; readonly expiresAt: Date };

/** What came back: the URL that the browser was sent to, or its parameters; for a device, the sign-in to wait for. */
export type AuthorizationAnswer =
  | { readonly callbackUrl: string }
  | { readonly parameters: Readonly<Record<string, string>> | URLSearchParams }
  | { readonly authorizationId: string };

export interface ReauthorizeOptions {
  readonly session?: string;
  readonly signal?: AbortSignal;
  /** Called each time that the other side says that a person has not decided yet (device code). */
  readonly onPending?: () => void;
}

export interface Reauthorized {
  readonly credential: CredentialSummary;
  /** What its owner should know at once, for example that no refresh token came and how to get one; `null` for nothing. */
  readonly advice: string | null;
}

const authorizeOptionsSchema = z.strictObject({
  redirectUri: z.string().max(2048).optional(),
  session: z.string().min(1).max(1024).optional(),
  signal: z.instanceof(AbortSignal).optional(),
});
const answerSchema = z.union([
  z.strictObject({ callbackUrl: z.string().max(65_536) }),
  z.strictObject({ parameters: z.union([z.instanceof(URLSearchParams), z.record(z.string(), z.string())]) }),
  z.strictObject({ authorizationId: z.string().max(256) }),
]);

const NEVER = new AbortController().signal;

/** The two halves of a person's sign-in, for the engine. */
export class Authorizations {
  readonly #surroundings: Surroundings;
  readonly #awakening: Awakening;
  readonly #running = new Set<Promise<Completed>>();

  constructor(surroundings: Surroundings, awakening: Awakening) {
    this.#surroundings = surroundings;
    this.#awakening = awakening;
  }

  async begin(record: CredentialRecord, options: AuthorizeOptions): Promise<Authorization> {
    if (!authorizeOptionsSchema.safeParse(options).success)
      throw new TypeError('Expected options of an authorization.');
    const { redirectUri = null, session = null, signal = NEVER } = options;
    const begun = await beginAuthorization(this.#surroundings, record, { redirectUri, session, signal });
    const { prompt, ...named } = begun;
    return { ...prompt, ...named };
  }

  /** Returns what its owner should know. */
  async complete(id: CredentialId, answer: AuthorizationAnswer, options: ReauthorizeOptions): Promise<string | null> {
    const { session = null, signal = NEVER, onPending = () => undefined } = options;
    const given = givenIn(answer);
    const arrivedAt = 'callbackUrl' in answer ? answer.callbackUrl : null;
    const record = await requireRecord(this.#surroundings, id);
    const completion = completeAuthorization(this.#surroundings, record, {
      given,
      arrivedAt,
      session,
      signal,
      onPending,
    });
    this.#running.add(completion);
    try {
      const { settled, advice } = await completion;
      await this.#awakening.authorized(record, settled);
      return advice;
    } finally {
      this.#running.delete(completion);
    }
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}

function givenIn(answer: AuthorizationAnswer): URLSearchParams | { readonly authorizationId: string } {
  if (!answerSchema.safeParse(answer).success) {
    throw new TypeError('Expected { callbackUrl }, { parameters } or { authorizationId }.');
  }
  if ('authorizationId' in answer) return { authorizationId: answer.authorizationId };
  if ('parameters' in answer) return new URLSearchParams(answer.parameters);
  const url = URL.parse(answer.callbackUrl);
  if (url !== null) return url.searchParams;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The callback URL is not a URL.');
}
