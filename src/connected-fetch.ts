import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

/** Called when the connection stands; what it answers is called in the same turn in which the first byte is written. */
export type BeforeWrite = () => Promise<() => void>;

/** Nothing of the request has left this process. `cause`: why. */
export class NotSentError extends Error {
  /** `beforeWrite` said no, or failed; otherwise the other side could not be reached. */
  readonly refused: boolean;

  constructor(cause: unknown, refused: boolean) {
    super('Nothing was sent.', { cause });
    this.refused = refused;
  }
}

export interface ConnectedInit extends RequestInit {
  /** Finds the addresses to connect to. */
  readonly lookup?: LookupFunction;
  /** The client certificate that the connection shows, with its key: PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/**
 * A fetch that connects first, then asks, and then writes the whole request in one turn of the event loop: between the last
 * question and the write no other work of this process can come. The global `fetch` connects at some time after it was called,
 * and a busy process may be held up there for longer than its right to send lasts.
 *
 * Each request has a connection of its own: one that was kept may have been closed by the other side just now, and then
 * nobody could say whether the request was read. It follows no redirect, and decodes gzip, deflate and br as `fetch` does.
 *
 * @throws NotSentError when it could not connect, or `beforeWrite` or its answer threw
 */
export async function connectedFetch(url: string, init: ConnectedInit, beforeWrite: BeforeWrite): Promise<Response> {
  const { signal, lookup, tls, ...plain } = init;
  const asked = new Request(url, plain);
  const body = Buffer.from(await asked.arrayBuffer());
  const request = requestOf(asked, { ...tls, ...(lookup && { lookup }), ...(signal && { signal }) });
  const answer = answerTo(request);
  // Heard again below, or not at all when nothing was sent.
  answer.catch(() => undefined);
  await beforeLeaving(request, () => connected(request), false);
  const mayLeave = await beforeLeaving(request, beforeWrite, true);
  // The other side may have closed the connection while it was asked.
  if (request.destroyed) throw new NotSentError(new Error('The connection was closed.'), false);
  await beforeLeaving(
    request,
    () => {
      mayLeave();
      request.end(body);
    },
    true,
  );
  return responseTo(await answer);
}

async function beforeLeaving<T>(request: ClientRequest, step: () => T | Promise<T>, isAsked: boolean): Promise<T> {
  try {
    const result = step();
    return result instanceof Promise ? await result : result;
  } catch (error) {
    request.destroy();
    throw new NotSentError(error, isAsked);
  }
}

function requestOf(asked: Request, connecting: RequestOptions): ClientRequest {
  const url = new URL(asked.url);
  const headers = { 'accept-encoding': 'gzip, deflate, br', ...Object.fromEntries(asked.headers) };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return send(url, { method: asked.method, headers, ...connecting, agent: false });
}

function answerTo(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.once('close', () => {
      reject(new Error('The connection was closed.'));
    });
  });
}

/** Resolves when the socket, and TLS over it, can be written to. */
function connected(request: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.once('socket', (socket: Socket) => {
      if (!socket.connecting && !isSecuring(socket)) resolve();
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', resolve);
    });
  });
}

function isSecuring(socket: Socket): boolean {
  return 'secureConnecting' in socket && socket.secureConnecting === true;
}

function responseTo(message: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = message;
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2)
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
  if ([204, 205, 304].includes(status)) {
    message.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(decoded(message)), { status, headers });
}

function decoded(message: IncomingMessage): Readable {
  const decoder = decoderOf(message.headers['content-encoding']);
  // Whoever reads it hears of a failure there.
  return decoder === null ? message : pipeline(message, decoder, () => undefined);
}

function decoderOf(encoding: string | undefined) {
  switch (encoding?.trim().toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    case 'br':
      return createBrotliDecompress();
    default:
      return null;
  }
}
