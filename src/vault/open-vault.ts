import type { CredentialEvent } from '../lifecycle/events.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { SecretStore } from '../storage/secret-store.ts';
import { AnchorWatch, type Anchor } from './anchor.ts';
import { KeyRing, type MasterKey, type RotationPolicy } from './key-ring.ts';
import { Keys } from './keys.ts';
import { StoreSeal } from './store-seal.ts';
import { Vault } from './vault.ts';

export interface VaultOptions {
  readonly masterKey: MasterKey;
  readonly anchor?: Anchor;
  readonly acceptOlderStore?: boolean;
  readonly policy?: RotationPolicy;
}

/** Everything between a store and its secrets. */
export interface OpenedVault {
  readonly vault: Vault;
  /**
   * @param owner names the engine in claims
   * @param publish told of what was written to the outbox
   */
  keys(owner: string, requireOpen: () => void, publish: (event: CredentialEvent) => void): Keys;
  /** Moves the anchor on and overwrites all keys with zeros. The store is still open. */
  close(): Promise<void>;
}

/**
 * Opens the key ring of a store and everything that hangs on it.
 *
 * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH`, `ERR_KEYRING_PARAMETERS_REFUSED`
 * @throws StorageError `ERR_STORE_ROLLED_BACK`
 */
export async function openVault(
  { records, secrets }: { records: RecordStore; secrets: SecretStore },
  options: VaultOptions,
  ports: Ports,
): Promise<OpenedVault> {
  const keyRing = await KeyRing.open(records, options.masterKey, ports, options.policy);
  const vault = new Vault(keyRing, secrets, ports.random);
  const seal = new StoreSeal(keyRing, ports.random, () => anchor?.soon());
  const anchor = options.anchor ? new AnchorWatch(options.anchor, { store: records, keyRing, seal }, ports) : null;
  if (options.acceptOlderStore === true) {
    if (anchor !== null && (await anchor.isOlder())) await records.markRestored(ports.clock.now());
    await anchor?.accept();
  } else await anchor?.requireNotOlder();
  records.sealWith(seal);
  return {
    vault,
    keys: (owner, requireOpen, publish) =>
      new Keys({ ports, records, vault, keyRing, owner }, seal, anchor, { requireOpen, publish }),
    close: async () => {
      await anchor?.close();
      keyRing.release();
    },
  };
}
