import { z } from 'zod/v4';
import { KeyRingError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Issued } from '../protocols/protocol.ts';
import { Secret } from '../secret.ts';
import { inPlaceReaderOf, instant } from './in-place.ts';

const sealedGrantSchema = z.strictObject({
  grant: z.custom<JsonObject>(isJsonObject),
  issuedAt: instant,
  expiresAt: instant.nullable(),
  refreshable: z.boolean(),
  // Absent in grants that were sealed before these facts were known.
  grantExpiresAt: instant.nullable().default(null),
  idleExpiresAt: instant.nullable().default(null),
  secretExpiresAt: instant.nullable().default(null),
  refreshBy: instant.nullable().default(null),
  unchangedUntil: instant.nullable().default(null),
});

const isReadInPlace = inPlaceReaderOf(sealedGrantSchema);

/** A grant is sealed with its own facts, so that an answer that was stored but not yet pointed at can still be committed. */
export function encodeSealedGrant(issued: Issued): Secret<JsonObject> {
  return Secret.of<JsonObject>({
    grant: issued.grant.unwrap(),
    issuedAt: issued.issuedAt.toISOString(),
    expiresAt: issued.expiresAt?.toISOString() ?? null,
    refreshable: issued.refreshable,
    grantExpiresAt: issued.grantExpiresAt?.toISOString() ?? null,
    idleExpiresAt: issued.idleExpiresAt?.toISOString() ?? null,
    secretExpiresAt: issued.secretExpiresAt?.toISOString() ?? null,
    refreshBy: issued.refreshBy?.toISOString() ?? null,
    unchangedUntil: issued.unchangedUntil?.toISOString() ?? null,
  });
}

/** @throws KeyRingError `ERR_CREDENTIAL_UNREADABLE` */
export function parseSealedGrant(value: Secret<JsonObject>): Issued {
  const { grant, ...facts } = sealedGrantOf(value.unwrap());
  return { grant: Secret.of(grant), ...facts };
}

function sealedGrantOf(value: JsonObject): z.output<typeof sealedGrantSchema> {
  const read: unknown = { ...value };
  if (isReadInPlace(read)) return read;
  const result = sealedGrantSchema.safeParse(value);
  if (result.success) return result.data;
  throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'The sealed grant of this credential is not valid.');
}
