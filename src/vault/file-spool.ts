import { statSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StorageError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { CredentialId, SecretPointer } from '../lifecycle/credential.ts';
import type { Spool } from '../lifecycle/spool.ts';
import type { Ports } from '../ports.ts';
import type { Secret } from '../secret.ts';
import type { SecretOwner, Vault } from './vault.ts';

const NAME = /^([^.]+)\.(\d{1,15})\.([0-9a-f]{1,64})\.sealed$/;

/**
 * A folder of sealed answers (mode 0700, files 0600), made when the first one has to wait. A file is the envelope that the store
 * would hold, under a data key that is loaded; its name is bound into it, so that files cannot be swapped.
 */
export class FileSpool implements Spool {
  readonly #folder: string;
  readonly #vault: Vault;
  readonly #logger: Ports['logger'];

  constructor(folder: string, vault: Vault, logger: Ports['logger']) {
    this.#folder = folder;
    this.#vault = vault;
    this.#logger = logger;
  }

  async put(owner: SecretOwner, pointer: SecretPointer, value: Secret<JsonObject>): Promise<void> {
    const envelope = await this.#vault.sealApart(owner, pointer, value);
    await this.#access(async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const path = this.#pathOf(owner.id, pointer);
      const fresh = `${path}.fresh`;
      const file = await open(fresh, 'w', 0o600);
      try {
        await file.writeFile(envelope);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
      await syncFolder(this.#folder);
    });
  }

  async list(credentialId: CredentialId): Promise<readonly SecretPointer[]> {
    const names = await this.#access(() => namesIn(this.#folder));
    const own = escaped(credentialId);
    return names.flatMap((name) => {
      const [, id, generation, attemptId] = NAME.exec(name) ?? [];
      if (id !== own || generation === undefined || attemptId === undefined) return [];
      return [{ field: 'grant' as const, generation: Number(generation), attemptId }];
    });
  }

  async get(owner: SecretOwner, pointer: SecretPointer): Promise<Secret<JsonObject> | null> {
    try {
      return await this.#vault.openApart(owner, pointer, await readFile(this.#pathOf(owner.id, pointer)));
    } catch (error) {
      const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unknown';
      this.#logger.error({ credentialId: owner.id, code }, 'A spooled grant cannot be read; it is left where it is.');
      return null;
    }
  }

  async drop(credentialId: CredentialId, pointer: SecretPointer): Promise<void> {
    await this.#access(() => rm(this.#pathOf(credentialId, pointer), { force: true }));
  }

  #pathOf(id: CredentialId, { generation, attemptId }: SecretPointer): string {
    return join(this.#folder, `${escaped(id)}.${String(generation)}.${attemptId}.sealed`);
  }

  async #access<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      const code = Error.isError(error) && 'code' in error ? String(error.code) : 'unknown error';
      throw new StorageError('ERR_STORE_UNAVAILABLE', `The spool ${this.#folder} cannot be used (${code}).`);
    }
  }
}

/** An id as one part of a file name, whatever is in it. */
function escaped(id: CredentialId): string {
  return Buffer.from(id, 'utf8').toString('base64url');
}

async function namesIn(folder: string): Promise<string[]> {
  // Each refresh asks, and mostly there is no folder: to hear that from another thread took longer than the reads of the store.
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  try {
    return await readdir(folder);
  } catch (error) {
    if (Error.isError(error) && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** The name of a new file is durable when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
