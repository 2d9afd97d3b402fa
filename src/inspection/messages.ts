import { StateMachine, type InspectionEvent } from 'xstate';
import { z } from 'zod/v4';
import { isPlainObject, type JsonObject, type JsonValue } from '../json.ts';
import { chartConfig } from '../lifecycle/chart.ts';

/** The release of `@statelyai/inspect` whose messages these are. */
export const PROTOCOL_VERSION = '0.7.2';
const DEEPEST = 8;
const LONGEST_ID = 200;

const id = z.string().min(1).max(LONGEST_ID);
const common = { sessionId: id, rootId: id.optional(), createdAt: z.string(), _version: z.string() };
const fact = z.looseObject({ type: z.string() });
const snapshot = z.looseObject({ status: z.string().optional() });

/** A message of the Stately inspector, as far as a relay has to understand it. */
export const inspectionMessageSchema = z.discriminatedUnion('type', [
  z.looseObject({
    type: z.literal('@xstate.actor'),
    ...common,
    name: z.string(),
    parentId: id.optional(),
    definition: z.string().optional(),
    snapshot: snapshot.optional(),
  }),
  z.looseObject({ type: z.literal('@xstate.event'), ...common, sourceId: id.optional(), event: fact }),
  z.looseObject({ type: z.literal('@xstate.snapshot'), ...common, event: fact, snapshot }),
]);
export type InspectionMessage = z.output<typeof inspectionMessageSchema>;

/**
 * An inspection event of XState in the form of the Stately inspector, or `null` for steps that its protocol does not show
 * (microsteps and actions; the snapshot after them is shown). Of values only plain data is taken: of an error its name and
 * code, of an object with a class of its own (bytes, secrets, actors) the name of its class.
 *
 * @param origin tells actors of different processes apart
 */
export function messageOf(inspected: InspectionEvent, origin: string, now: Date): InspectionMessage | null {
  const { actorRef } = inspected;
  const idOf = ({ sessionId }: { readonly sessionId: string }): string => `${origin}/${sessionId}`;
  const about = {
    sessionId: idOf(actorRef),
    rootId: idOf({ sessionId: inspected.rootId }),
    createdAt: now.getTime().toString(),
    _version: PROTOCOL_VERSION,
    id: null,
  };
  switch (inspected.type) {
    case '@xstate.actor': {
      const parent = '_parent' in actorRef && isReference(actorRef._parent) ? { parentId: idOf(actorRef._parent) } : {};
      const state = snapshotOf(actorRef.getSnapshot());
      const called = { name: nameOf(actorRef), definition: definitionOf(actorRef) };
      return { type: inspected.type, ...about, ...parent, ...called, snapshot: state };
    }
    case '@xstate.event': {
      const source = inspected.sourceRef ? { sourceId: idOf(inspected.sourceRef) } : {};
      return { type: inspected.type, ...about, ...source, event: factOf(inspected.event) };
    }
    case '@xstate.snapshot':
      return {
        type: inspected.type,
        ...about,
        event: factOf(inspected.event),
        snapshot: snapshotOf(inspected.snapshot),
      };
    default:
      return null;
  }
}

function factOf(event: { readonly type: string }): { type: string } & JsonObject {
  return { ...plainMembers(event, 0), type: event.type };
}

/** The members of a snapshot that are facts: no machine, no actors, no functions. */
function snapshotOf(snapshot: unknown): JsonObject & { status?: string } {
  // An actor is announced before it has a snapshot.
  if (!isPlainObject(snapshot)) return { status: 'active' };
  const { status, value, context, input, output, error } = snapshot;
  const facts = { value, context, input, output, error };
  return { ...(typeof status === 'string' && { status }), ...plainMembers(facts, 0) };
}

/** A credential's id for its machine, the name of what it invoked for the others. */
function nameOf(actorRef: InspectionEvent['actorRef']): string {
  if ('src' in actorRef && typeof actorRef.src === 'string') return actorRef.src;
  return 'id' in actorRef && typeof actorRef.id === 'string' ? actorRef.id : actorRef.sessionId;
}

const definitions = new WeakMap<object, string>();

/** The machine as text that `createMachine` reads; made once for each machine. */
function definitionOf(actorRef: InspectionEvent['actorRef']): string {
  const logic = 'logic' in actorRef ? actorRef.logic : null;
  if (!(logic instanceof StateMachine)) {
    return JSON.stringify({ id: nameOf(actorRef) });
  }
  const known = definitions.get(logic);
  if (known !== undefined) return known;
  const made = JSON.stringify(chartConfig(logic.root));
  definitions.set(logic, made);
  return made;
}

function plain(value: unknown, depth: number): JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return `[${typeof value}]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Error) return { name: value.name, ...('code' in value && { code: plain(value.code, DEEPEST) }) };
  if (depth >= DEEPEST) return '[…]';
  if (Array.isArray(value)) return value.map((member) => plain(member, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? plainMembers(value, depth) : `[${classOf(value)}]`;
}

function plainMembers(value: object, depth: number): JsonObject {
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== 'function');
  return Object.fromEntries(members.map(([name, member]) => [name, plain(member, depth + 1)]));
}

function classOf(value: object): string {
  return typeof value.constructor === 'function' ? value.constructor.name : 'object';
}

function isReference(value: unknown): value is { readonly sessionId: string } {
  return typeof value === 'object' && value !== null && 'sessionId' in value && typeof value.sessionId === 'string';
}
