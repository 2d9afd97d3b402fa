import type { z } from 'zod/v4';
import { StorageError } from '../errors.ts';

/** JSON with ISO 8601 instants. */
export function encodeBody(value: object): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

/** @throws StorageError `ERR_STORE_RECORD_INVALID` */
export function decodeBody<T>(schema: z.ZodType<T>, body: Buffer): T {
  const result = schema.safeParse(parseJson(body));
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? 'item';
  throw new StorageError('ERR_STORE_RECORD_INVALID', `A stored token or session is not valid at "${where}".`);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
