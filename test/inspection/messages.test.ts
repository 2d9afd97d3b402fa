import { createActor, createMachine, fromPromise, setup } from 'xstate';
import type { InspectionEvent } from 'xstate';
import { messageOf, type InspectionMessage } from '../../src/inspection/messages.ts';
import { Secret } from '../../src/secret.ts';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const CANARY = 'canary-of-a-secret';

class Holder {
  readonly value = CANARY;
}

/** What must not be shown although somebody put it where it is looked for. */
const UNSHOWN: Record<string, unknown> = {
  secret: Secret.of(CANARY),
  bytes: Buffer.from(CANARY),
  holder: new Holder(),
  map: new Map([['key', CANARY]]),
  error: Object.assign(new TypeError(CANARY, { cause: CANARY }), { code: 'ERR_X' }),
  function: () => CANARY,
};

function run(context: object, event: { type: string } & Record<string, unknown>): InspectionMessage[] {
  const messages: InspectionMessage[] = [];
  const inspect = (inspected: InspectionEvent): void => {
    const message = messageOf(inspected, 'here', NOW);
    if (message) messages.push(message);
  };
  const actor = createActor(createMachine({ id: 'm', context, on: { '*': {} } }), { inspect, id: 'named' });
  actor.start();
  actor.send(event);
  actor.stop();
  return messages;
}

test('shows of an actor its name, its machine and what it is told', () => {
  const messages = run({ count: 1 }, { type: 'go', at: NOW, deep: { list: [1, null, 'x', Infinity] } });
  const about = {
    sessionId: expect.stringMatching(/^here\/x:\d+$/),
    createdAt: String(NOW.getTime()),
    _version: '0.7.2',
  };
  expect(messages[0]).toMatchObject({ ...about, type: '@xstate.actor', name: 'named', snapshot: { status: 'active' } });
  const told = { type: 'go', at: NOW.toISOString(), deep: { list: [1, null, 'x', 'Infinity'] } };
  expect(messages).toContainEqual(expect.objectContaining({ ...about, type: '@xstate.event', event: told }));
  expect(messages.at(-1)).toMatchObject({
    type: '@xstate.snapshot',
    snapshot: { status: 'stopped', context: { count: 1 } },
  });
});

test('shows plain data only, wherever something else was put', () => {
  const text = JSON.stringify(run({ held: UNSHOWN, ...UNSHOWN }, { type: 'go', held: UNSHOWN, ...UNSHOWN }));
  expect(text).not.toContain(CANARY);
  expect(text).not.toContain(Buffer.from(CANARY).toString('base64'));
  expect(text).not.toContain([...Buffer.from(CANARY)].join(','));
  for (const shown of ['[Secret]', '[Buffer]', '[Holder]', '[Map]', '"name":"TypeError","code":"ERR_X"'])
    expect(text).toContain(shown);
});

test('ends where data goes round in circles', () => {
  const circle: Record<string, unknown> = { name: 'circle' };
  circle['self'] = circle;
  expect(JSON.stringify(run({}, { type: 'go', circle }))).toContain('[…]');
});

test('shows a failed effect by name and code, and the parent that it belongs to', async () => {
  const messages: InspectionMessage[] = [];
  const failing = setup({ actors: { fail: fromPromise(() => Promise.reject(new Error(CANARY))) } });
  const machine = failing.createMachine({
    initial: 'on',
    states: { on: { invoke: { src: 'fail', onError: 'off' } }, off: { type: 'final' } },
  });
  const inspect = (inspected: InspectionEvent): void => {
    const message = messageOf(inspected, 'here', NOW);
    if (message) messages.push(message);
  };
  const actor = createActor(machine, { inspect });
  await new Promise<void>((resolve) => {
    actor.subscribe({ complete: resolve });
    actor.start();
  });
  const root = messages[0]?.sessionId;
  expect(messages).toContainEqual(expect.objectContaining({ name: 'fail', parentId: root, rootId: root }));
  const text = JSON.stringify(messages);
  expect(text).toContain('"status":"error"');
  expect(text).not.toContain(CANARY);
});
