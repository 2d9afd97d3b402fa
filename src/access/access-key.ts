import { timingSafeEqual } from 'node:crypto';
import { AccessError, ConfigurationError } from '../errors.ts';
import { ACCESS_SCOPES, type AccessScope } from '../client.ts';
import type { CredentialId } from '../lifecycle/credential.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { Vault } from '../vault/vault.ts';

const PREFIX = 'clk';
const KEY_ID_BYTES = 10;
const SECRET_BYTES = 32;
const FORM = new RegExp(`^${PREFIX}_([0-9a-f]{${String(KEY_ID_BYTES * 2)}})_([A-Za-z0-9_-]{43})$`);
const PURPOSE = 'access-key';

/** What an access key allows: the scopes, on one credential or (`null`) on all. */
export interface Access {
  readonly credentialId: CredentialId | null;
  readonly scopes: readonly string[];
}

/** Issues and checks access keys `clk_<key id>_<secret>`. Only a keyed hash of the secret is stored. */
export class AccessKeys {
  readonly #records: RecordStore;
  readonly #vault: Vault;
  readonly #ports: Ports;

  constructor(records: RecordStore, vault: Vault, ports: Ports) {
    this.#records = records;
    this.#vault = vault;
    this.#ports = ports;
  }

  /** The key is in the answer and nowhere else. */
  async issue(credentialId: CredentialId | null, scopes: readonly AccessScope[]): Promise<string> {
    const keyId = this.#ports.random.bytes(KEY_ID_BYTES).toString('hex');
    const secret = this.#ports.random.bytes(SECRET_BYTES).toString('base64url');
    await this.#records.putAccessKey({
      keyId,
      hash: this.#hash(keyId, secret),
      credentialId,
      scopes,
      createdAt: this.#ports.clock.now(),
    });
    return `${PREFIX}_${keyId}_${secret}`;
  }

  /** @throws AccessError `ERR_ACCESS_DENIED`, the same for a malformed, an unknown and a wrong key. */
  async check(accessKey: string): Promise<Access> {
    const [, keyId = '', secret = ''] = FORM.exec(accessKey) ?? [];
    const stored = await this.#records.getAccessKey(keyId);
    // Hashed in every case, so that an unknown key id costs the same as a wrong secret.
    const hash = this.#hash(keyId, secret);
    if (stored === null || !timingSafeEqual(hash, stored.hash)) throw accessDenied();
    return { credentialId: stored.credentialId, scopes: stored.scopes };
  }

  #hash(keyId: string, secret: string): Buffer {
    return this.#vault.keyedHash(PURPOSE, `${keyId}_${secret}`);
  }
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function requireScopes(scopes: readonly AccessScope[]): void {
  if (scopes.length > 0 && scopes.every((scope) => ACCESS_SCOPES.includes(scope))) return;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The scopes must be some of: ${ACCESS_SCOPES.join(', ')}.`);
}

export function accessDenied(): AccessError {
  return new AccessError('ERR_ACCESS_DENIED', 'The credential id or the access key is not valid.');
}
