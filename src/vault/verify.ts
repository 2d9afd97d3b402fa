import type { ErrorCode } from '../errors.ts';
import {
  lifecycleStateOf,
  pointersOf,
  type CredentialId,
  type CredentialRecord,
  type SecretField,
} from '../lifecycle/credential.ts';
import { forEachRecord, type KeyWork, type KeyWorkOptions } from './key-work.ts';
import type { StoreSeal } from './store-seal.ts';
import { isSamePointer } from './vault.ts';

/** A stored value that does not open, or a record that cannot be read. */
export interface UnreadableValue {
  readonly credentialId: CredentialId;
  readonly field: SecretField | 'record';
  /** `null` for a record. */
  readonly generation: number | null;
  /** `ERR_CREDENTIAL_UNREADABLE` when it is not there at all. */
  readonly code: ErrorCode;
  /** Whether the record points at it; the others are garbage that nobody misses. */
  readonly referenced: boolean;
}

/**
 * Whether the records are the ones that the store's seal belongs to: `intact`; `rolledBack` when some were put back, taken
 * out, put in or changed behind the engine's back; `notChecked` when others wrote all the time, so that no two looks agreed.
 */
export type SealVerdict = 'intact' | 'rolledBack' | 'notChecked';

export interface Verification {
  readonly records: number;
  readonly values: number;
  readonly unreadable: readonly UnreadableValue[];
  readonly seal: SealVerdict;
  /** Records that are behind what their own events tell: where to look first when the seal says `rolledBack`. */
  readonly suspects: readonly CredentialId[];
  /** Values per data key id. */
  readonly valuesByKey: Readonly<Record<string, number>>;
}

const LOOKS = 3;

interface Findings {
  values: number;
  readonly unreadable: UnreadableValue[];
  readonly suspects: CredentialId[];
  readonly valuesByKey: Record<string, number>;
}

/** Opens every stored value and holds the records against the seal of the store. Changes nothing. */
export async function verify(work: KeyWork, seal: StoreSeal, options: KeyWorkOptions = {}): Promise<Verification> {
  for (let look = 1; ; look += 1) {
    const found: Findings = { values: 0, unreadable: [], suspects: [], valuesByKey: {} };
    const before = await work.records.getSeal();
    let sum = seal.sumOf([]);
    const records = await forEachRecord(work, options, async (visited) => {
      const { id: credentialId, record } = visited;
      if (record === null) {
        const { code } = visited;
        found.unreadable.push({ credentialId, field: 'record', generation: null, code, referenced: true });
        return;
      }
      sum = seal.plus(sum, seal.sumOf([record]));
      await checkValues(work, record, found);
      const told = await work.records.lastEvent(record.id);
      if (told !== null && told.generation > record.generation) found.suspects.push(record.id);
    });
    const undisturbed = before === (await work.records.getSeal());
    if (!undisturbed && look < LOOKS) continue;
    const verdict = undisturbed ? judge(seal, before, { records, sum }) : 'notChecked';
    return { records, ...found, seal: verdict };
  }
}

function judge(seal: StoreSeal, stored: string | null, seen: { records: number; sum: string }): SealVerdict {
  const state = seal.open(stored);
  return state?.records === seen.records && state.sum === seen.sum ? 'intact' : 'rolledBack';
}

async function checkValues(work: KeyWork, record: CredentialRecord, found: Findings): Promise<void> {
  const stored = await work.vault.values(record.id);
  const pointers = pointersOf(record);
  for (const { pointer, keyId } of stored) {
    const code = await work.vault.fault(record, pointer);
    if (code === 'missing') continue;
    found.values += 1;
    if (keyId !== null) found.valuesByKey[keyId] = (found.valuesByKey[keyId] ?? 0) + 1;
    if (code === null) continue;
    const referenced = pointers.some((each) => isSamePointer(each, pointer));
    const { field, generation } = pointer;
    found.unreadable.push({ credentialId: record.id, field, generation, code, referenced });
  }
  const missing = pointers.filter((pointer) => !stored.some((value) => isSamePointer(value.pointer, pointer)));
  for (const { field, generation } of (await isStillSo(work, record)) ? missing : []) {
    const code = 'ERR_CREDENTIAL_UNREADABLE';
    found.unreadable.push({ credentialId: record.id, field, generation, code, referenced: true });
  }
}

/** False when somebody moved the record on meanwhile, and for revoked ones: their values are deleted on purpose. */
async function isStillSo({ records }: KeyWork, record: CredentialRecord): Promise<boolean> {
  if (lifecycleStateOf(record.state) === 'revoked') return false;
  return (await records.get(record.id))?.revision === record.revision;
}
