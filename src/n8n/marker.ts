import { createHash } from 'node:crypto';

/** The hidden, expirable property of every credential type. It names the generation that a request used, never a token. */
export const MARKER_PROPERTY = 'generationMarker';

/** `generation:<n>@<fingerprint of the engine's id>`, so that a marker of since edited values is told apart. */
export function markerOf(credentialId: string, generation: number): string {
  return `generation:${String(generation)}@${fingerprint(credentialId)}`;
}

/** The generation that a marker of this credential names; `null` for anything else. */
export function generationIn(marker: unknown, credentialId: string): number | null {
  if (typeof marker !== 'string') return null;
  const [, digits, owner] = /^generation:(\d{1,15})@([0-9a-f]{12})$/.exec(marker) ?? [];
  return digits !== undefined && owner === fingerprint(credentialId) ? Number(digits) : null;
}

/** One-way, since the ids of adopted credentials are not for show. */
function fingerprint(credentialId: string): string {
  return createHash('sha256').update(`credential-lifecycle/marker\0${credentialId}`).digest('hex').slice(0, 12);
}
