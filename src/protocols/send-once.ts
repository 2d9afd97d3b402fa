import type { Fetch } from '../ports.ts';
import type { BeforeSend } from './protocol.ts';

/**
 * A request that must not leave without the right to: asked for when the connection stands, and once more in the turn of the
 * write. Through a fetch of a host that does not connect first, both are asked right before it is called.
 */
export async function sendOnce(
  fetch: Fetch,
  url: string,
  init: RequestInit,
  beforeSend: BeforeSend,
): Promise<Response> {
  if (fetch.connectsFirst === true) return fetch(url, { ...init, beforeWrite: beforeSend });
  const mayLeave = await beforeSend();
  mayLeave();
  return fetch(url, init);
}
