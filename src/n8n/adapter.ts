import type { ICredentialDataDecryptedObject, IDataObject, IHttpRequestOptions } from 'n8n-workflow';
import type { CredentialHandle, EngineClient } from '../client.ts';
import { noHeaders } from '../directory-handle.ts';
import type { Material } from '../protocols/protocol.ts';
import { openedClient } from './engine-registry.ts';
import { toHostError } from './errors.ts';
import { generationIn, MARKER_PROPERTY, markerOf } from './marker.ts';

type CredentialData = ICredentialDataDecryptedObject;

/** How the values of one credential type lead to a credential of the engine. */
export interface CredentialSource {
  /** Name of the credential type, for the audit trail. */
  readonly type: string;
  handle(client: EngineClient, data: CredentialData): Promise<CredentialHandle>;
}

export interface AdapterOptions {
  /** Gives the engine's client; default: the one of this process. */
  readonly client?: () => Promise<EngineClient>;
}

/** The two functions that n8n calls on a credential type. */
export interface RequestAuthentication {
  readonly preAuthentication: (data: CredentialData) => Promise<IDataObject>;
  readonly authenticate: (data: CredentialData, request: IHttpRequestOptions) => Promise<IHttpRequestOptions>;
}

/**
 * Authentication through the engine, as the functions of a credential type.
 *
 * n8n decrypts one copy of the values per request and hands that same copy to `authenticate` and, after a failure, to
 * `preAuthentication`. So `authenticate` leaves on it the generation that this very request carries: what n8n stored
 * earlier, or stores late, does not matter, and a request that never got material is never reported as rejected.
 */
export function authenticationThrough(source: CredentialSource, options: AdapterOptions = {}): RequestAuthentication {
  const client = options.client ?? openedClient;
  const context: Context = {
    type: source.type,
    handleOf: async (data) => source.handle(await client(), data),
    carried: new WeakMap(),
  };
  return {
    preAuthentication: (data) => translated(async () => reportFailure(data, context)),
    authenticate: (data, request) => translated(async () => authenticate(data, request, context)),
  };
}

interface Context {
  readonly type: string;
  readonly handleOf: (data: CredentialData) => Promise<CredentialHandle>;
  /** What the request with these values carried. */
  readonly carried: WeakMap<CredentialData, Material['headers']>;
}

/**
 * Called before the first request (no marker yet: nothing to do, nothing for n8n to store), and after any failed one.
 * n8n repeats the request only when a marker comes back, so it gets one only if there is other material to try; otherwise
 * it shows what the API answered.
 */
async function reportFailure(data: CredentialData, { handleOf, carried }: Context): Promise<IDataObject> {
  const marker = data[MARKER_PROPERTY];
  if (typeof marker !== 'string' || marker === '') return {};
  const handle = await handleOf(data);
  const generation = generationIn(marker, handle.id);
  if (generation === null) return { [MARKER_PROPERTY]: markerOf(handle.id, await handle.generation()) };
  const { decision, generation: current } = await handle.reportRejected(generation);
  if (decision === 'refreshed' || decision === 'alreadyRefreshed') {
    // The same password once more would only be another try that counts towards a lockout.
    const isOther = !isSame((await handle.use()).headers, carried.get(data));
    return isOther ? { [MARKER_PROPERTY]: markerOf(handle.id, current) } : {};
  }
  // Why there is no other material says more than the answer of the API.
  if (decision === 'notRefreshed') await handle.use();
  return {};
}

async function authenticate(
  data: CredentialData,
  request: IHttpRequestOptions,
  { type, handleOf, carried }: Context,
): Promise<IHttpRequestOptions> {
  data[MARKER_PROPERTY] = '';
  const handle = await handleOf(data);
  const signal = request.abortSignal instanceof AbortSignal ? { signal: request.abortSignal } : {};
  const material = await handle.use({ usedBy: { kind: 'n8n', id: type }, ...signal });
  if (material.directory !== undefined) throw noHeaders();
  data[MARKER_PROPERTY] = markerOf(handle.id, material.generation);
  carried.set(data, material.headers);
  return withHeaders(request, material.headers);
}

/** A copy: n8n shows and stores the options that it passed in, so they never hold material. */
function withHeaders(request: IHttpRequestOptions, headers: Readonly<Record<string, string>>): IHttpRequestOptions {
  const replaced = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const kept = Object.entries(request.headers ?? {}).filter(([name]) => !replaced.has(name.toLowerCase()));
  return { ...request, headers: { ...Object.fromEntries(kept), ...headers } };
}

function isSame(headers: Material['headers'], carried: Material['headers'] = {}): boolean {
  const names = Object.keys(headers);
  return names.length === Object.keys(carried).length && names.every((name) => headers[name] === carried[name]);
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toHostError(error);
  }
}
