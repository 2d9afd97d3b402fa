import type { DirectoryHandle } from '../client.ts';
import type { Authentication } from '../protocols/directory.ts';

/** Logins that were refused in one execution of a node, by name and password. Nothing of it outlives the execution. */
export type Refusals = Map<string, Authentication>;

/**
 * Proves a person's password, once. Who was refused with it in this execution gets the same answer without another try: twenty
 * items with one wrong password count as one towards a lockout.
 */
export async function proveOnce(
  directory: Pick<DirectoryHandle, 'authenticate'>,
  { username, password }: { readonly username: string; readonly password: string },
  { refusals, signal }: { readonly refusals: Refusals; readonly signal?: AbortSignal },
): Promise<Authentication> {
  // Names have no case in directories.
  const key = JSON.stringify([username.trim().toLowerCase(), password]);
  const refused = refusals.get(key);
  if (refused) return refused;
  const answer = await directory.authenticate(username, password, signal && { signal });
  if (answer.outcome === 'refused') refusals.set(key, answer);
  return answer;
}
