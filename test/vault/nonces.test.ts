import { systemRandom } from '../../src/ports.ts';
import { expandDataKey, sealEnvelope, type SealedName } from '../../src/vault/envelope.ts';

const STARTS = 200_000;
const WRITES = 3;
const NONCE_AT = 50;
const key = expandDataKey(Buffer.alloc(16, 1), Buffer.alloc(32, 2));
const name: SealedName = { ownerId: null, credentialId: 'cr_1', field: 'grant', generation: 1, attemptId: 'a' };

it(`never uses a nonce twice: ${String(STARTS)} starts of a process with ${String(WRITES)} encryptions each under one key`, () => {
  const nonces = new Set<string>();
  const plaintext = Buffer.from('secret');
  for (let start = 0; start < STARTS; start += 1) {
    // A start brings nothing of its own to a nonce, neither a prefix nor a counter: each one is chance alone.
    for (let write = 0; write < WRITES; write += 1) {
      nonces.add(sealEnvelope(key, name, plaintext, systemRandom).toString('latin1', NONCE_AT, NONCE_AT + 12));
    }
  }
  expect(nonces.size).toBe(STARTS * WRITES);
}, 120_000);

it('takes each nonce from the random source, whole', () => {
  const asked: number[] = [];
  const random = {
    bytes: (length: number): Buffer => {
      asked.push(length);
      return Buffer.alloc(length, asked.length);
    },
  };
  const envelope = sealEnvelope(key, name, Buffer.from('x'), random);
  expect(asked).toEqual([12]);
  expect(envelope.subarray(NONCE_AT, NONCE_AT + 12)).toEqual(Buffer.alloc(12, 1));
});
