import { z } from 'zod/v4';
import { ConfigurationError, isCredentialError } from '../errors.ts';
import { lifecycleStateOf, STATE_NAMES, type CredentialId, type LifecycleState } from '../lifecycle/credential.ts';
import { EVENT_TYPES, type CredentialEvent, type EventType } from '../lifecycle/events.ts';
import type { RecordStore } from '../storage/record-store.ts';
import { TEXT_LIMITS } from '../storage/texts.ts';

/** Which events. What is absent lets all through; an event of the whole store passes none but `types`. */
export interface EventFilter {
  /** Empty for all. */
  readonly types?: readonly EventType[];
  readonly ownerId?: string;
  readonly protocol?: string;
  /** The state that the credential was in when it happened. */
  readonly state?: LifecycleState;
  /** Events of credentials that carry all of these now. */
  readonly tags?: readonly string[];
}

/** An event, and what its credential is called and carries now; `null` and none when it is gone or is about no credential. */
export interface FollowedEvent extends CredentialEvent {
  readonly name: string | null;
  readonly tags: readonly string[];
}

const filterSchema = z.strictObject({
  types: z.array(z.enum(EVENT_TYPES)).optional(),
  ownerId: z.string().min(1).max(TEXT_LIMITS.ownerId).optional(),
  protocol: z.string().min(1).max(TEXT_LIMITS.protocol).optional(),
  state: z.enum(STATE_NAMES).optional(),
  tags: z.array(z.string().min(1).max(TEXT_LIMITS.tag)).optional(),
});

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field: a misspelt filter would let everything through */
export function parseEventFilter(input: unknown): EventFilter {
  const result = filterSchema.safeParse(input);
  if (result.success) {
    const given = Object.entries(result.data).filter(([, value]) => value !== undefined);
    return Object.fromEntries(given);
  }
  const issue = result.error.issues[0];
  const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? 'filter');
  const allowed = field.startsWith('types') ? `; the event types are: ${EVENT_TYPES.join(', ')}` : '';
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    `The event filter ${JSON.stringify(field.slice(0, 80))} is not valid${allowed}.`,
  );
}

/** Those of the events that the filter lets through and that `reach`, one credential or (`null`) all, allows to be seen. */
export async function selected(
  { records, filter, reach }: Selection,
  events: readonly CredentialEvent[],
): Promise<FollowedEvent[]> {
  const matching = events.filter(
    (event) => (reach === null || event.credentialId === reach) && letsThrough(filter, event),
  );
  const named = new Map<CredentialId | null, Named>();
  for (const id of new Set(matching.map(({ credentialId }) => credentialId))) named.set(id, await nameOf(records, id));
  return matching
    .map((event) => ({ ...event, ...(named.get(event.credentialId) ?? NAMELESS) }))
    .filter(({ tags }) => (filter.tags ?? []).every((tag) => tags.includes(tag)));
}

interface Selection {
  readonly records: Pick<RecordStore, 'get'>;
  readonly filter: EventFilter;
  readonly reach: CredentialId | null;
}

type Named = Pick<FollowedEvent, 'name' | 'tags'>;
const NAMELESS: Named = { name: null, tags: [] };
const UNREADABLE: ReadonlySet<string> = new Set(['ERR_STORE_RECORD_INVALID', 'ERR_STORE_SCHEMA_TOO_NEW']);

function letsThrough({ types = [], ownerId, protocol, state }: EventFilter, event: CredentialEvent): boolean {
  return (
    (types.length === 0 || types.includes(event.type)) &&
    (ownerId === undefined || event.ownerId === ownerId) &&
    (protocol === undefined || event.protocol === protocol) &&
    (state === undefined || (event.state !== null && lifecycleStateOf(event.state) === state))
  );
}

/** A record that cannot be read must not hold up the news of it. */
async function nameOf(records: Pick<RecordStore, 'get'>, id: CredentialId | null): Promise<Named> {
  try {
    const record = id === null ? null : await records.get(id);
    return record === null ? NAMELESS : { name: record.name, tags: record.tags };
  } catch (error) {
    if (isCredentialError(error) && UNREADABLE.has(error.code)) return NAMELESS;
    throw error;
  }
}
