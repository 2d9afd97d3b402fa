import type { CredentialEngine } from './engine.ts';
import type { DirectoryHandle, UseOptions } from './client.ts';
import { ConfigurationError } from './errors.ts';

/**
 * The requests of a directory credential, without the account that they are made as: whoever holds this can ask the directory,
 * and cannot learn the password.
 *
 * @throws ConfigurationError `ERR_CREDENTIAL_PROTOCOL_MISMATCH` for a credential that is no directory
 */
export async function directoryHandleOf(
  engine: CredentialEngine,
  id: string,
  options?: UseOptions,
): Promise<DirectoryHandle> {
  const { directory } = await engine.use(id, options);
  if (directory === undefined) throw noDirectory();
  return {
    authenticate: (username, password, request) => directory.authenticate(username, password, request),
    getUser: (name, request) => directory.getUser(name, request),
    groups: (dn, request) => directory.groups(dn, request),
    search: (search) => directory.search(search),
    whoAmI: (request) => directory.whoAmI(request),
  };
}

/** The credential is of a protocol that has no directory. */
export function noDirectory(): ConfigurationError {
  return new ConfigurationError(
    'ERR_CREDENTIAL_PROTOCOL_MISMATCH',
    'This credential is no directory: a credential of the protocol ldap is needed here.',
  );
}

/** The credential gives no headers, so a request would leave without any authentication. */
export function noHeaders(): ConfigurationError {
  return new ConfigurationError(
    'ERR_CREDENTIAL_PROTOCOL_MISMATCH',
    'This credential is a directory and cannot authenticate HTTP requests: one of the protocol oauth2 or basic is needed here.',
  );
}
