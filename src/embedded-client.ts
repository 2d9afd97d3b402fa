import { accessDenied, type Access } from './access/access-key.ts';
import type {
  AccessScope,
  AdoptedEntry,
  CredentialHandle,
  CredentialPage,
  EngineClient,
  OperatorHandle,
} from './client.ts';
import { directoryHandleOf } from './directory-handle.ts';
import type { CredentialEngine } from './engine.ts';
import { awaitDeviceAuthorization, beginDeviceAuthorization } from './device-authorization.ts';
import { AccessError, isCredentialError } from './errors.ts';
import { parseListing } from './storage/listing.ts';
import { matchingKey } from './storage/memory-list.ts';
import type { RecordFilter } from './storage/record-store.ts';

/** An `EngineClient` over an engine in the same process. */
export function createEmbeddedClient(engine: CredentialEngine): EngineClient {
  return {
    adopted: async (entry: AdoptedEntry) => handleOf(engine, await engine.adopt(entry), entry.protocol),
    managed: async (id, accessKey) => {
      const access = await engine.checkAccess(accessKey);
      requireCredential(access, id);
      requireScope(access, 'use');
      // An id that does not exist answers like one that the key is not for.
      const protocol = await protocolOf(engine, id);
      if (protocol === null) throw accessDenied();
      return handleOf(engine, id, protocol);
    },
    operator: async (accessKey) => operatorOf(engine, await engine.checkAccess(accessKey), accessKey),
  };
}

function handleOf(engine: CredentialEngine, id: string, protocol: string): CredentialHandle {
  return {
    id,
    protocol,
    use: (options) => engine.use(id, options),
    directory: (options) => directoryHandleOf(engine, id, options),
    generation: async () => (await engine.get(id)).generation,
    reportRejected: (generation) => engine.reportRejected(id, generation),
    test: (options) => engine.test(id, options),
  };
}

function operatorOf(engine: CredentialEngine, access: Access, accessKey: string): OperatorHandle {
  const allow = (scope: AccessScope, id: string): void => {
    requireScope(access, scope);
    requireCredential(access, id);
  };
  return {
    list: async (filter) => {
      requireScope(access, 'list');
      if (access.credentialId === null) return engine.list(filter);
      return listOne(engine, access.credentialId, filter);
    },
    get: async (id) => {
      allow('list', id);
      return engine.get(id);
    },
    use: async (id, options) => {
      allow('use', id);
      await engine.use(id, options);
      const { state, expiresAt, generation } = await engine.get(id);
      return { id, state, expiresAt, generation };
    },
    test: async (id) => {
      allow('test', id);
      return engine.test(id);
    },
    refresh: async (id) => {
      allow('refresh', id);
      return engine.refresh(id);
    },
    rotate: async (id) => {
      allow('rotate', id);
      return engine.rotate(id);
    },
    rollback: async (id) => {
      allow('rotate', id);
      return engine.rollback(id);
    },
    revoke: async (id) => {
      allow('revoke', id);
      return engine.revoke(id);
    },
    pause: async (id) => {
      allow('pause', id);
      return engine.pause(id);
    },
    resume: async (id) => {
      allow('pause', id);
      return engine.resume(id);
    },
    update: async (id, changes) => {
      allow('update', id);
      return engine.update(id, changes);
    },
    delete: async (id) => {
      allow('delete', id);
      return engine.delete(id);
    },
    usage: async (ids) => {
      for (const id of ids) allow('list', id);
      return [...(await engine.usage.of(ids)).values()];
    },
    authorize: async (id) => {
      allow('authorize', id);
      return beginDeviceAuthorization(engine, id);
    },
    awaitAuthorization: async (id, authorizationId, options) => {
      allow('authorize', id);
      return awaitDeviceAuthorization(engine, { id, authorizationId }, options);
    },
    follow: async (followerId, options) => {
      requireScope(access, 'list');
      return engine.outbox.follow(followerId, options, () => listedBy(engine, accessKey));
    },
    newestEvent: async (filter) => {
      requireScope(access, 'list');
      return engine.outbox.newest(filter, () => Promise.resolve(access.credentialId));
    },
  };
}

/** The one credential that a key may list now; `null` for all. */
async function listedBy(engine: CredentialEngine, accessKey: string): Promise<string | null> {
  const access = await engine.checkAccess(accessKey);
  requireScope(access, 'list');
  return access.credentialId;
}

/** A key for one credential lists that one, if the filter lets it through. */
async function listOne(engine: CredentialEngine, id: string, filter: RecordFilter = {}): Promise<CredentialPage> {
  const { cursor: _cursor, limit: _limit, ...conditions } = filter;
  // The one record is judged by itself: such a key must not make the engine walk through all the others.
  const listing = parseListing(conditions);
  const credential = await engine.get(id);
  return {
    credentials: matchingKey(credential, listing) === null ? [] : [credential],
    unreadable: [],
    nextCursor: null,
  };
}

/** `null` when there is no such credential. */
async function protocolOf(engine: CredentialEngine, id: string): Promise<string | null> {
  try {
    return (await engine.get(id)).protocol;
  } catch (error) {
    if (isCredentialError(error) && error.code === 'ERR_CREDENTIAL_NOT_FOUND') return null;
    throw error;
  }
}

function requireCredential(access: Access, id: string): void {
  if (access.credentialId !== null && access.credentialId !== id) throw accessDenied();
}

function requireScope(access: Access, scope: AccessScope): void {
  if (access.scopes.includes(scope)) return;
  throw new AccessError('ERR_ACCESS_SCOPE_MISSING', `The access key does not have the scope "${scope}".`);
}
