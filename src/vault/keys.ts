import { requireMasterKey } from '../engine-options.ts';
import { newId } from '../lifecycle/effects.ts';
import { storeEvent, type CredentialEvent } from '../lifecycle/events.ts';
import type { AnchorWatch } from './anchor.ts';
import type { DataKeyStatus, MasterKey } from './key-ring.ts';
import type { KeyWork, KeyWorkOptions } from './key-work.ts';
import { reEncrypt, type ReEncryption } from './re-encrypt.ts';
import type { StoreSeal } from './store-seal.ts';
import { verify, type Verification } from './verify.ts';

export interface KeyRingStatus {
  readonly ringId: string;
  /** What the master key is. */
  readonly masterKey: 'raw' | 'passphrase';
  readonly activeKeyId: string;
  /** When the active key is replaced for its age; earlier after 1,000,000 encryptions. */
  readonly rotationDueAt: Date;
  /** Oldest first. */
  readonly keys: readonly DataKeyStatus[];
  /** Changes of what the store's seal covers, since the store was founded. */
  readonly sealSequence: number | null;
}

/** Work on the keys of a store: `engine.keys`. Other engines may run on the store meanwhile. */
export class Keys {
  readonly #work: KeyWork;
  readonly #seal: StoreSeal;
  readonly #anchor: AnchorWatch | null;
  readonly #requireOpen: () => void;
  readonly #publish: (event: CredentialEvent) => void;

  constructor(
    work: KeyWork,
    seal: StoreSeal,
    anchor: AnchorWatch | null,
    { requireOpen, publish }: { requireOpen: () => void; publish: (event: CredentialEvent) => void },
  ) {
    this.#work = work;
    this.#seal = seal;
    this.#anchor = anchor;
    this.#requireOpen = requireOpen;
    this.#publish = publish;
  }

  async status(): Promise<KeyRingStatus> {
    this.#requireOpen();
    const { keyRing, records } = this.#work;
    const keys = await keyRing.status();
    const { ringId, derivation: masterKey, activeKeyId, rotationDueAt } = keyRing;
    const sealSequence = this.#seal.open(await records.getSeal())?.sequence ?? null;
    return { ringId, masterKey, activeKeyId, rotationDueAt, keys, sealSequence };
  }

  /** Makes a new data key the active one, at once. What was sealed before stays readable under the retired keys. */
  async rotate(): Promise<{ keyId: string }> {
    this.#requireOpen();
    const { keyRing, records, ports } = this.#work;
    const keyId = await keyRing.rotate();
    const event = storeEvent('key.rotated', newId(ports), ports.clock.now());
    await records.appendEvents([event]);
    this.#publish(event);
    return { keyId };
  }

  /**
   * Seals every value again under the active key, beside running readers and writers, and removes retired keys that nothing
   * refers to any more. Ends early at `signal`; a pass that was cut off is resumed by the next one.
   */
  async reEncrypt(options: KeyWorkOptions = {}): Promise<ReEncryption> {
    this.#requireOpen();
    return reEncrypt(this.#work, options);
  }

  /**
   * Wraps the data keys under another master key or passphrase; no sealed value is touched. From now on the store opens
   * with the new one only.
   *
   * @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MALFORMED`
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` when somebody else changed it meanwhile
   */
  async changeMasterKey(next: MasterKey): Promise<void> {
    this.#requireOpen();
    requireMasterKey(next);
    await this.#work.keyRing.changeMasterKey(next);
  }

  /** Opens every value and holds all records against the seal of the store. Changes nothing. */
  async verify(options: KeyWorkOptions = {}): Promise<Verification> {
    this.#requireOpen();
    return verify(this.#work, this.#seal, options);
  }

  /** Moves the anchor, if there is one, to where the store is now. */
  async anchor(): Promise<void> {
    this.#requireOpen();
    await this.#anchor?.write();
  }
}
