import {
  askCircuit,
  afterOutcome,
  encodeCircuit,
  parseCircuit,
  withoutProbe,
  withProbe,
} from '../../src/resilience/circuit.ts';
import type { JsonObject } from '../../src/json.ts';
import { NOW, secondsAfter } from '../support/record.ts';

/** A circuit as the store has it after each of these outcomes. */
async function stored(
  before: JsonObject | null,
  outcomes: readonly boolean[],
  probeId: string | null = null,
  now = NOW,
) {
  let circuit = before;
  for (const failed of outcomes) {
    circuit = encodeCircuit(await afterOutcome(parseCircuit(circuit), { failed, probeId, now }));
  }
  return circuit;
}
const FAILED = true;
const ANSWERED = false;
const five = [FAILED, FAILED, FAILED, FAILED, FAILED];
const ask = (circuit: JsonObject | null, seconds: number) =>
  askCircuit(parseCircuit(circuit), secondsAfter(NOW, seconds));

/** A broken circuit whose break is over and whose probe is under way. */
async function tried(seconds = 30) {
  const broken = await stored(null, five);
  return encodeCircuit(withProbe(parseCircuit(broken), 'p1', secondsAfter(NOW, seconds)));
}

it('lets everything through until five failures in a row', async () => {
  expect(ask(null, 0)).toEqual({ answer: 'pass' });
  expect(ask(await stored(null, five.slice(1)), 0)).toEqual({ answer: 'pass' });
  expect(ask(await stored(null, [...five.slice(1), ANSWERED, ...five.slice(1)]), 0)).toEqual({ answer: 'pass' });
  expect(ask(await stored(null, five), 0)).toEqual({ answer: 'refuse', retryAfterMs: 30_000 });
});

it('remembers nothing while nothing is wrong', async () => {
  expect(await stored(null, [ANSWERED, ANSWERED])).toBeNull();
  expect(await stored(null, [FAILED, ANSWERED])).toBeNull();
});

it('lets one probe through when the break is over, and nobody beside it', async () => {
  const broken = await stored(null, five);
  expect(ask(broken, 29.999)).toEqual({ answer: 'refuse', retryAfterMs: 1 });
  expect(ask(broken, 30)).toEqual({ answer: 'probe' });
  expect(ask(await tried(), 31)).toEqual({ answer: 'refuse', retryAfterMs: 44_000 });
});

it('is whole after a probe that was answered', async () => {
  const after = await stored(await tried(), [ANSWERED], 'p1', secondsAfter(NOW, 31));
  expect(after).toBeNull();
});

it('breaks for twice as long with each probe that failed, for five minutes at most', async () => {
  let circuit = await stored(null, five);
  let seconds = 30;
  const breaks: number[] = [];
  for (let probe = 0; probe < 6; probe += 1) {
    const now = secondsAfter(NOW, seconds);
    const asked = encodeCircuit(withProbe(parseCircuit(circuit), 'p', now));
    circuit = await stored(asked, [FAILED], 'p', now);
    const answer = askCircuit(parseCircuit(circuit), now);
    breaks.push(answer.answer === 'refuse' ? answer.retryAfterMs : 0);
    seconds += 300;
  }
  expect(breaks).toEqual([60_000, 120_000, 240_000, 300_000, 300_000, 300_000]);
});

it('listens to its probe, not to failures of requests that left before it broke', async () => {
  const circuit = await tried();
  expect(await stored(circuit, [FAILED], null, secondsAfter(NOW, 32))).toEqual(circuit);
  expect(await stored(circuit, [FAILED], 'another', secondsAfter(NOW, 32))).toEqual(circuit);
});

it('is whole after any success: whoever got an answer proved that there are answers', async () => {
  expect(await stored(await stored(null, five), [ANSWERED])).toBeNull();
});

it('gives the probe to the next one when it was not made, or its process died', async () => {
  const circuit = await tried();
  const given = encodeCircuit(withoutProbe(parseCircuit(circuit), 'p1'));
  expect(ask(given, 31)).toEqual({ answer: 'probe' });
  expect(encodeCircuit(withoutProbe(parseCircuit(circuit), 'another'))).toEqual(circuit);
  expect(ask(circuit, 30 + 45)).toEqual({ answer: 'probe' });
});

it('starts its count anew after it was whole again', async () => {
  const healed = await stored(await tried(), [ANSWERED], 'p1', secondsAfter(NOW, 31));
  expect(ask(await stored(healed, five.slice(1)), 0)).toEqual({ answer: 'pass' });
});

it('does not wait for instants that a wrong clock wrote', async () => {
  const broken = await stored(null, five, null, secondsAfter(NOW, 7_200));
  expect(ask(broken, 0)).toEqual({ answer: 'probe' });
  const probed = encodeCircuit(withProbe(parseCircuit(broken), 'p1', secondsAfter(NOW, 7_200)));
  expect(ask(probed, 0)).toEqual({ answer: 'probe' });
});

it.each<[string, JsonObject]>([
  ['of another form', { state: 'open' }],
  ['with a state that is none', { policy: { ownState: { value: 7 }, breakerState: 0 }, opensAt: null, probe: null }],
  [
    'with an instant that is none',
    { policy: { ownState: { value: 0 }, breakerState: 0 }, opensAt: 'soon', probe: null },
  ],
])('takes a stored circuit %s for whole', (_, circuit) => {
  expect(ask(circuit, 0)).toEqual({ answer: 'pass' });
});
