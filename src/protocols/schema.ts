import type { z } from 'zod/v4';
import { ConfigurationError } from '../errors.ts';
import type { JsonObject } from '../json.ts';

/**
 * Parses settings or a secret.
 *
 * @param root Names the value in messages: `config`, `secret`, `grant`.
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field, never its value
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = [root, ...(issue?.path ?? [])].join('.');
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} ${explain(issue, root)}.`);
}

/** The members that are there: JSON knows no `undefined`. */
export function definedMembers(value: Record<string, JsonObject[string] | undefined>): JsonObject {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (member === undefined ? [] : [[key, member]])),
  );
}

function printable(key: string): string {
  return key.slice(0, 40).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** In our own words: the schema library's messages may quote the value. */
function explain(issue: z.core.$ZodIssue | undefined, root: string): string {
  switch (issue?.code) {
    case 'unrecognized_keys':
      // A name may be a value pasted into the wrong place.
      return root === 'secret' ? 'has unknown members' : `has unknown members: ${issue.keys.map(printable).join(', ')}`;
    case 'invalid_value':
      return `must be one of: ${issue.values.map(String).join(', ')}`;
    case 'invalid_type':
      return `must be of type ${issue.expected}`;
    case 'too_small':
      return 'is too small or too short';
    case 'too_big':
      return 'is too large or too long';
    case 'invalid_format':
      return issue.format === 'url' ? 'must be a URL' : 'has the wrong form';
    case 'custom':
      return issue.message;
    default:
      return 'is not valid';
  }
}
