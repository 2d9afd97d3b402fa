import { inspect } from 'node:util';
import { Secret } from '../src/secret.ts';

const CANARY = 'hunter2-canary';
const secret = Secret.of(CANARY);
// What careless code takes it for.
const mistaken = secret as unknown as string;

it.each<[string, (value: string) => string]>([
  ['a template', (value) => `<${value}>`],
  ['String()', String],
  ['concatenation', (value) => '<' + value],
  ['JSON', (value) => JSON.stringify({ value })],
  ['inspect to any depth', (value) => inspect({ deep: { value } }, { depth: Infinity, showHidden: true })],
  [
    'own properties',
    (value) => JSON.stringify(Object.getOwnPropertyNames(value)) + JSON.stringify(Object.assign({}, value)),
  ],
  ['an error message', (value) => new Error(`bad ${value}`).stack ?? ''],
])('does not show its value in %s', (_sentence, print) => {
  expect(print(mistaken)).not.toContain(CANARY);
});

it('gives its value to unwrap alone', () => {
  expect(secret.unwrap()).toBe(CANARY);
  expect(() => structuredClone(secret).unwrap()).toThrow();
});

it('cannot be given another value', () => {
  expect(Object.isFrozen(secret)).toBe(true);
});
