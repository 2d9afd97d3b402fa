import {
  ConfigurationError,
  isCredentialError,
  ProtocolError,
  TransientError,
  type CredentialError,
} from '../errors.ts';
import { NotSentError, type Fetch, type FetchInit } from '../ports.ts';

/** Bounds of one exchange with an endpoint. */
export interface FetchBounds {
  /** Whole exchange, from connecting to the last byte of the body. */
  readonly deadlineMs: number;
  readonly maxBodyBytes: number;
}

export const DEFAULT_BOUNDS: FetchBounds = { deadlineMs: 20_000, maxBodyBytes: 1_048_576 };

/** Failures before a byte of the request left: the token in it was not spent. */
const NOT_SENT = new Set([
  'EBADPORT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;
/** Request timeout and too early (RFC 9110 §15.5.9, RFC 8470 §5.2): the server asks for the same request again. */
const REPEATABLE = new Set([408, 425]);
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * A fetch that follows no redirect, reads at most `maxBodyBytes`, ends at its deadline, and tells failures apart by
 * whether the request may have reached the other side.
 *
 * Errors: `ERR_ENDPOINT_UNREACHABLE` (not sent), `ERR_ENDPOINT_CONNECTION_LOST` and `ERR_ENDPOINT_TIMEOUT` (perhaps sent),
 * `ERR_ENDPOINT_UNAVAILABLE` (5xx, 408, 425), `ERR_ENDPOINT_RATE_LIMITED` (429), `ERR_ENDPOINT_REDIRECTED`,
 * `ERR_ENDPOINT_RESPONSE_TOO_LARGE`.
 */
export function boundedFetch(fetch: Fetch, now: () => Date, bounds: FetchBounds = DEFAULT_BOUNDS): Fetch {
  const bounded = async (url: string, init: FetchInit = {}): Promise<Response> => {
    const deadline = AbortSignal.timeout(bounds.deadlineMs);
    const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
    const host = new URL(url).host;
    try {
      const response = await fetch(url, { ...init, redirect: 'manual', signal });
      refuseStatus(response, host, now());
      return await readBounded(response, host, bounds.maxBodyBytes);
    } catch (error) {
      if (init.signal?.aborted) throw init.signal.reason;
      if (error instanceof NotSentError)
        throw error.refused ? error.cause : (ownErrorIn(error.cause) ?? unreachable(error, host));
      throw isCredentialError(error) ? error : translateNetworkError(error, host, deadline.aborted);
    }
  };
  return Object.assign(bounded, { connectsFirst: fetch.connectsFirst ?? false });
}

/** Whatever it was, it came before the first byte left: the token was not spent. */
function unreachable(error: NotSentError, host: string): TransientError {
  const code = networkCode(error.cause);
  return new TransientError('ERR_ENDPOINT_UNREACHABLE', `${host} cannot be reached (${code}).`, { cause: { code } });
}

function refuseStatus(response: Response, host: string, now: Date): void {
  const { status } = response;
  // An unread body would keep its connection.
  if (isRefused(status)) response.body?.cancel().catch(() => undefined);
  if (status >= 300 && status < 400) {
    throw new ConfigurationError(
      'ERR_ENDPOINT_REDIRECTED',
      `${host} answered with a redirect (HTTP ${String(status)}).`,
    );
  }
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), now);
  const options = retryAfterMs === null ? {} : { retryAfterMs };
  if (status === 429)
    throw new TransientError('ERR_ENDPOINT_RATE_LIMITED', `${host} asks for fewer requests (HTTP 429).`, options);
  if (status >= 500 || REPEATABLE.has(status))
    throw new TransientError('ERR_ENDPOINT_UNAVAILABLE', `${host} answered HTTP ${String(status)}.`, options);
}

function isRefused(status: number): boolean {
  return (status >= 300 && status < 400) || status === 429 || status >= 500 || REPEATABLE.has(status);
}

async function readBounded(response: Response, host: string, maxBytes: number): Promise<Response> {
  const body: AsyncIterable<Uint8Array> | null = response.body;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new ProtocolError(
        'ERR_ENDPOINT_RESPONSE_TOO_LARGE',
        `${host} answered with more than ${String(maxBytes)} bytes.`,
      );
    }
    chunks.push(chunk);
  }
  const headers = new Headers(response.headers);
  // The body is decoded by now; these would describe it wrongly.
  headers.delete('content-encoding');
  headers.delete('content-length');
  const hasBody = ![204, 205, 304].includes(response.status);
  return new Response(hasBody ? Buffer.concat(chunks) : null, { status: response.status, headers });
}

/** `Retry-After` (RFC 9110 §10.2.3) as a duration, at most one hour; `null` when absent or not understood. */
export function parseRetryAfter(value: string | null, now: Date): number | null {
  if (value === null) return null;
  const date = /^[A-Z][a-z]{2}, /.test(value) ? Date.parse(value) : Number.NaN;
  const ms = /^\d{1,10}$/.test(value) ? Number(value) * 1000 : date - now.getTime();
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

function translateNetworkError(error: unknown, host: string, deadlinePassed: boolean): CredentialError {
  const own = ownErrorIn(error);
  if (own) return own;
  if (deadlinePassed) return new TransientError('ERR_ENDPOINT_TIMEOUT', `${host} did not answer in time.`);
  const code = networkCode(error);
  const cause = { code };
  if (NOT_SENT.has(code) || TLS_FAILURE.test(code)) {
    return new TransientError('ERR_ENDPOINT_UNREACHABLE', `${host} cannot be reached (${code}).`, { cause });
  }
  return new TransientError('ERR_ENDPOINT_CONNECTION_LOST', `The connection to ${host} broke (${code}).`, { cause });
}

/** What the look-up of the outbound policy refused: the HTTP client wraps it. */
function ownErrorIn(error: unknown, depth = 0): CredentialError | null {
  if (isCredentialError(error)) return error;
  if (!Error.isError(error) || depth > 4) return null;
  const inner: unknown = 'errors' in error && Array.isArray(error.errors) ? error.errors[0] : error.cause;
  return ownErrorIn(inner, depth + 1);
}

/** The innermost error code that the HTTP client gives; its messages may quote the request and are left out. */
function networkCode(error: unknown, depth = 0): string {
  if (!Error.isError(error) || depth > 4) return 'unknown';
  if ('errors' in error && Array.isArray(error.errors) && error.errors.length > 0)
    return networkCode(error.errors[0], depth + 1);
  if ('code' in error && typeof error.code === 'string') return error.code;
  // The HTTP client refuses some ports before it connects, without a code.
  if (error.message === 'bad port') return 'EBADPORT';
  return error.cause === undefined ? error.name : networkCode(error.cause, depth + 1);
}
