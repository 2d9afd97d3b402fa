import { z } from 'zod/v4';
import { canonicalJson } from '../json.ts';
import { lifecycleStateOf, type CredentialRecord } from '../lifecycle/credential.ts';
import type { RandomSource } from '../ports.ts';
import type { RecordSeal } from '../storage/record-store.ts';
import { expandDataKey, KEY_ID_BYTES, envelopeKeyId, openEnvelope, sealEnvelope, type SealedName } from './envelope.ts';
import type { KeyRing } from './key-ring.ts';

/** What the seal says about all records together. */
export interface SealedState {
  /** Counts changes of what is sealed. It only grows: the high-water mark of the store. */
  readonly sequence: number;
  readonly records: number;
  /** Sum modulo 2^256 of one keyed hash per record, 64 hexadecimal digits. */
  readonly sum: string;
}

const stateSchema = z.strictObject({
  sequence: z.int().nonnegative(),
  records: z.int().nonnegative(),
  sum: z.string().regex(/^[0-9a-f]{64}$/),
});
const EMPTY: SealedState = { sequence: 0, records: 0, sum: '0'.repeat(64) };
const MODULUS = 2n ** 256n;

/**
 * One sealed value per store that belongs to exactly one set of records: a record that is put back to an earlier state,
 * together with its secrets or not, no longer fits. It holds a multiset hash (Clarke et al., MSet-Add-Hash), so a write
 * costs one subtraction and one addition, however many records there are.
 *
 * A change of generation, of the secrets that count, of the owner and a revocation are sealed; other writes of a record
 * leave the seal alone, so that two processes do not queue for it at each step of a refresh.
 */
export class StoreSeal implements RecordSeal {
  readonly #keyRing: KeyRing;
  readonly #random: RandomSource;
  readonly #onChange: () => void;

  /** @param onChange told of each change that this process seals, inside the write's transaction */
  constructor(keyRing: KeyRing, random: RandomSource, onChange: () => void = () => undefined) {
    this.#keyRing = keyRing;
    this.#random = random;
    this.#onChange = onChange;
  }

  concerns(before: CredentialRecord | null, after: CredentialRecord | null): boolean {
    return (before && sealedFacts(before)) !== (after && sealedFacts(after));
  }

  next(stored: string | null, before: CredentialRecord | null, after: CredentialRecord | null): string | null {
    const [was, is] = [before && sealedFacts(before), after && sealedFacts(after)];
    if (was === is) return null;
    const state = this.open(stored);
    // A seal that does not open is evidence: it stays for "key verify" to find, and writes go on.
    if (state === null) return null;
    this.#onChange();
    return this.#seal({
      sequence: state.sequence + 1,
      records: state.records + (is === null ? 0 : 1) - (was === null ? 0 : 1),
      sum: hexOf(BigInt(`0x${state.sum}`) + this.#term(is) - this.#term(was)),
    });
  }

  /** What a stored seal says; `null` when it was not made with the keys of this ring. No seal says: no records. */
  open(stored: string | null): SealedState | null {
    if (stored === null) return EMPTY;
    try {
      const envelope = Buffer.from(stored, 'base64');
      const key = this.#keyOf(envelopeKeyId(envelope));
      return stateSchema.parse(JSON.parse(openEnvelope(key, this.#name(), envelope).toString('utf8')));
    } catch {
      return null;
    }
  }

  /** The sum over these records, to be compared with a seal. */
  sumOf(records: Iterable<CredentialRecord>): string {
    let sum = 0n;
    for (const record of records) sum += this.#term(sealedFacts(record));
    return hexOf(sum);
  }

  /** Sum of two sums. */
  plus(one: string, other: string): string {
    return hexOf(BigInt(`0x${one}`) + BigInt(`0x${other}`));
  }

  #seal(state: SealedState): string {
    // A key of its own for each write (224 random bits with the nonce): this value is written more often than any data key lasts.
    const key = this.#keyOf(this.#random.bytes(KEY_ID_BYTES));
    return sealEnvelope(key, this.#name(), Buffer.from(JSON.stringify(state)), this.#random).toString('base64');
  }

  #keyOf(salt: Buffer) {
    return expandDataKey(salt, this.#keyRing.keyedHash('store-seal', 'key'));
  }

  #name(): SealedName {
    const { ringId } = this.#keyRing;
    return { ownerId: null, credentialId: ringId, field: 'store-seal', generation: 0, attemptId: '' };
  }

  #term(facts: string | null): bigint {
    return facts === null ? 0n : BigInt(`0x${this.#keyRing.keyedHash('store-seal-term', facts).toString('hex')}`);
  }
}

/** What of a record is sealed. A record without a rotation's pointers is sealed as before there were any. */
function sealedFacts(record: CredentialRecord): string {
  const { id, ownerId, generation, registered, grant, next, previous, state } = record;
  const pointers = [registered, grant].map((pointer) => pointer && { ...pointer });
  const rotated =
    next === null && previous === null ? [] : [{ next: next && { ...next }, previous: previous && { ...previous } }];
  return canonicalJson([id, ownerId, generation, ...pointers, lifecycleStateOf(state) === 'revoked', ...rotated]);
}

function hexOf(sum: bigint): string {
  return (((sum % MODULUS) + MODULUS) % MODULUS).toString(16).padStart(64, '0');
}
