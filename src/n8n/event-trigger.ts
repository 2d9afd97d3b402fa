import {
  ExecutionCancelledError,
  SystemShutdownExecutionCancelledError,
  type IDataObject,
  type IRun,
  type ITriggerFunctions,
  type ITriggerResponse,
} from 'n8n-workflow';
import type { EngineClient, OperatorHandle } from '../client.ts';
import { ConfigurationError, toCredentialError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { EVENT_TYPES, type EventType } from '../lifecycle/events.ts';
import type { EventFilter, FollowedEvent } from '../outbox/event-filter.ts';
import type { EventFollower } from '../outbox/follower.ts';
import type { FollowOptions } from '../outbox/outbox.ts';
import { systemClock } from '../ports.ts';
import { operatorOf } from './credential-sources.ts';
import { openedClient } from './engine-registry.ts';
import { toTriggerError } from './errors.ts';
import { EventLoop, type Ended } from './event-loop.ts';
import { ALL_EVENTS } from './event-properties.ts';
import { hostLogger } from './logger.ts';
import { filterFrom } from './operator.ts';
import { eventItem } from './output.ts';

const ACCESS = 'credentialLifecycleAccessApi';

/** What a trigger node does with its life: follows the events in an active workflow, shows one of them in the editor. */
export async function triggerOnEvents(
  context: ITriggerFunctions,
  client: () => Promise<EngineClient> = openedClient,
): Promise<ITriggerResponse> {
  try {
    const data = await context.getCredentials(ACCESS);
    const operator = async (): Promise<OperatorHandle> => operatorOf(await client(), data);
    return context.getMode() === 'manual' ? inEditor(context, operator) : await inActiveWorkflow(context, operator);
  } catch (error) {
    throw toTriggerError(context.getNode(), error);
  }
}

async function inActiveWorkflow(
  context: ITriggerFunctions,
  operator: () => Promise<OperatorHandle>,
): Promise<ITriggerResponse> {
  const followerId = followerIdOf(context);
  const options = followOptions(context);
  const open = async (): Promise<EventFollower> => (await operator()).follow(followerId, options);
  let opened = await openedNow(open, context);
  const loop = new EventLoop({
    followerId,
    open: async () => {
      const first = opened;
      opened = null;
      return first ?? open();
    },
    execute: (events, missed) => execute(context, events, missed),
    fail: (error) => {
      context.emitError(toTriggerError(context.getNode(), error));
    },
    clock: systemClock,
    logger: hostLogger,
  });
  loop.start();
  return { closeFunction: () => loop.stop() };
}

/**
 * A person who activates a workflow is told what is wrong. When n8n starts, a store that is away is waited for: n8n's own tries
 * come ever more seldom, at last once a day.
 */
async function openedNow(
  open: () => Promise<EventFollower>,
  context: ITriggerFunctions,
): Promise<EventFollower | null> {
  try {
    return await open();
  } catch (error) {
    const { code } = toCredentialError(error);
    const isStarting = ['init', 'leadershipChange'].includes(context.getActivationMode());
    if (!isStarting || code !== 'ERR_STORE_UNAVAILABLE') throw error;
    hostLogger.warn({ code }, 'The events cannot be read yet; trying again.');
    return null;
  }
}

/** "Execute workflow" in the editor: the newest stored event at once, or else the next one. Moves nobody's place. */
function inEditor(context: ITriggerFunctions, operator: () => Promise<OperatorHandle>): ITriggerResponse {
  const stop = new AbortController();
  const show = async (): Promise<void> => {
    const { filter, ...from } = followOptions(context);
    const handle = await operator();
    const follower = await handle.follow(null, { filter, ...from, from: 'now' });
    const newest = await handle.newestEvent(filter);
    const events = newest ? [newest] : (await follower.next(stop.signal)).events;
    context.emit([events.map((event) => ({ json: eventItem(event) }))]);
  };
  return {
    manualTriggerFunction: async () => {
      try {
        await show();
      } catch (error) {
        if (!stop.signal.aborted) throw toTriggerError(context.getNode(), error);
      }
    },
    closeFunction: () => {
      stop.abort(new DOMException('The test ends.', 'AbortError'));
      return Promise.resolve();
    },
  };
}

/** One execution for all of the events, from its begin to its end. */
async function execute(context: ITriggerFunctions, events: readonly FollowedEvent[], missed: boolean): Promise<Ended> {
  const items = events.map((event, index) => ({ json: eventItem(event, missed && index === 0) }));
  const ended = context.helpers.createDeferredPromise<IRun>();
  try {
    context.emit([items], undefined, ended);
    await ended.promise;
    return 'ended';
  } catch (error) {
    if (error instanceof SystemShutdownExecutionCancelledError) return 'cutOff';
    if (error instanceof ExecutionCancelledError || hasEndedAtOnce(error)) return 'ended';
    const { code } = toCredentialError(error);
    hostLogger.warn({ code }, 'An execution for events could not be begun; trying again.');
    return 'notBegun';
  }
}

/** n8n looks for the execution only after it was begun. One that n8n refuses to run, and stores as failed, is gone by then. */
function hasEndedAtOnce(error: unknown): boolean {
  return error instanceof Error && error.constructor.name === 'ExecutionNotFoundError';
}

/** Copies of a workflow, and its other triggers, have a place of their own. */
function followerIdOf(context: ITriggerFunctions): string {
  return `n8n/${context.getInstanceId()}/${context.getWorkflow().id ?? ''}/${context.getNode().id}`;
}

function followOptions(context: ITriggerFunctions): FollowOptions & { readonly filter: EventFilter } {
  const wanted: unknown = context.getNodeParameter('events', []);
  const { ownerId, protocol, state, tags } = filterFrom(parameters(context.getNodeParameter('filters', {})));
  const filter = {
    types: typesIn(wanted),
    ...(ownerId !== undefined && { ownerId }),
    ...(protocol !== undefined && { protocol }),
    ...(state !== undefined && { state }),
    ...(tags !== undefined && { tags }),
  };
  return { filter, from: context.getNodeParameter('startFrom', 'now') === 'oldest' ? 'oldest' : 'now' };
}

function typesIn(wanted: unknown): readonly EventType[] {
  const chosen: readonly unknown[] = Array.isArray(wanted) ? wanted : [];
  if (chosen.includes(ALL_EVENTS)) return [];
  const types = EVENT_TYPES.filter((type) => chosen.includes(type));
  if (types.length > 0 && types.length === chosen.length) return types;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "events" must name events of this node.');
}

function parameters(value: unknown): IDataObject {
  return isPlainObject(value) ? Object.fromEntries(Object.entries(value).filter(isTextEntry)) : {};
}

function isTextEntry(entry: [string, unknown]): entry is [string, string] {
  return typeof entry[1] === 'string';
}
