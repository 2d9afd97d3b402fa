import type { OperatorHandle } from '../client.ts';
import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import type { CredentialChanges } from '../verbs/update.ts';
import { textsFrom } from './texts.ts';

const MINUTE_MS = 60_000;
const AS_THE_ENGINE = -1;

/**
 * What a person wants to change, out of the collection of the node. Empty owner and scope take them away. Values of settings
 * and secret are judged by the engine, which never quotes them.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field
 */
export function changesFrom(entered: unknown): CredentialChanges {
  const { name, ownerId, scopeId, tags, testEveryMinutes, config, secret } = isPlainObject(entered) ? entered : {};
  const changes: CredentialChanges = {
    ...(name !== undefined && { name: textOf('name', name) }),
    ...(ownerId !== undefined && { ownerId: textOf('ownerId', ownerId) || null }),
    ...(scopeId !== undefined && { scopeId: textOf('scopeId', scopeId) || null }),
    ...(tags !== undefined && { tags: textsFrom(tags) }),
    ...(testEveryMinutes !== undefined && { testEveryMs: testEveryMsOf(testEveryMinutes) }),
    ...(config !== undefined && { config: objectOf('config', config) }),
    ...(secret !== undefined && { secret: objectOf('secret', secret) }),
  };
  if (Object.keys(changes).length > 0) return changes;
  throw malformed('Nothing to change was named: add a change.');
}

/**
 * Deleting asks once more which one is meant.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
 */
export async function requireConfirmed(
  operator: Pick<OperatorHandle, 'get'>,
  id: string,
  confirmation: unknown,
): Promise<void> {
  const given = typeof confirmation === 'string' ? confirmation.trim() : '';
  if (given !== '' && given === id) return;
  if (given !== '' && given === (await operator.get(id)).name.trim()) return;
  throw malformed('The field "confirmation" is not the name or the ID of this credential; nothing was deleted.');
}

function testEveryMsOf(minutes: unknown): number | null {
  if (minutes === AS_THE_ENGINE) return null;
  if (typeof minutes === 'number' && Number.isInteger(minutes) && minutes >= 0) return minutes * MINUTE_MS;
  throw malformed('The field "testEveryMinutes" is not a whole number of minutes, 0 or -1.');
}

function textOf(field: string, value: unknown): string {
  if (typeof value === 'string') return value.trim();
  throw malformed(`The field "${field}" is not a text.`);
}

/** n8n hands a field of JSON over as the text that was entered, or as the object that an expression made. */
function objectOf(field: string, value: unknown): object {
  const parsed = typeof value === 'string' ? parseJson(value) : value;
  if (isPlainObject(parsed)) return parsed;
  throw malformed(`The field "${field}" is not a JSON object.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function malformed(message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', message);
}
