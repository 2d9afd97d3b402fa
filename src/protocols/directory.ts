import type { Secret } from '../secret.ts';

/** One entry: its name and its attributes, each with all its values. Values that are no text are bytes. */
export interface DirectoryEntry {
  readonly dn: string;
  readonly attributes: ReadonlyMap<string, readonly (string | Buffer)[]>;
}

export interface DirectorySearch {
  /** Where to start; by default the base DN of the settings. */
  readonly baseDn?: string;
  readonly scope?: 'base' | 'one' | 'sub';
  /** RFC 4515; put values into it with `escapeLdapFilter`. What is no filter is `ERR_CONFIG_MALFORMED`, and nothing is sent. */
  readonly filter?: string;
  readonly attributes?: readonly string[];
  /** At most so many entries, 1 or more; the server is asked for no further page. Absent: all, or an error above `maxEntries`. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** What a user is known by. */
export type UserName = 'username' | 'mail' | 'userPrincipalName';

export interface UserOptions {
  /** What the name is. `username`, the default, is what the user filter of the settings says. */
  readonly by?: UserName;
  /** Also groups of groups; default: the setting `nestedGroups`. */
  readonly nested?: boolean;
  readonly signal?: AbortSignal;
}

/** What a search found. `references` point at other servers: they are told and never followed. */
export interface DirectoryResult {
  readonly entries: readonly DirectoryEntry[];
  readonly references: readonly string[];
}

export interface DirectoryUser {
  readonly dn: string;
  readonly cn: string | null;
  readonly mail: string | null;
  /** Distinguished names of the groups; with the setting `nestedGroups` also of those that hold these. */
  readonly groups: readonly string[];
  readonly entry: DirectoryEntry;
}

/** Why somebody was not let in. For logs and administrators only: to the person every one is the same sentence. */
export type AuthenticationRefusal =
  | 'emptyPassword'
  | 'malformedUsername'
  | 'userNotFound'
  | 'ambiguousUser'
  | 'invalidCredentials'
  | 'notPermittedAtThisTime'
  | 'notPermittedAtThisWorkstation'
  | 'passwordExpired'
  | 'accountDisabled'
  | 'accountExpired'
  | 'mustChangePassword'
  | 'accountLocked';

export type Authentication =
  | { readonly outcome: 'authenticated'; readonly user: DirectoryUser }
  | {
      readonly outcome: 'refused';
      readonly reason: AuthenticationRefusal;
      /** What the person may read. It is always the same, so that nobody learns which names exist. */
      readonly message: string;
    };

/** The account that a directory credential is bound as, for a program with an LDAP client of its own. */
export interface DirectoryAccount {
  readonly url: string;
  /** `null` when a client certificate says who it is. */
  readonly bindDn: string | null;
  readonly password: Secret<string> | null;
}

/**
 * What a directory credential gives instead of headers: requests over connections that are kept, bound as its account. It
 * stays usable for as long as the engine is open. Failures are errors of the catalogue.
 */
export interface Directory {
  readonly account: DirectoryAccount;
  /** Proves a person's password by a bind of its own, once. A refusal is an answer, not an error. */
  authenticate(
    username: string,
    password: string | Secret<string>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Authentication>;
  /** The user of this name, without a password; `null` when there is none or more than one. */
  getUser(name: string, options?: UserOptions): Promise<DirectoryUser | null>;
  /** Groups that an entry is in, directly or (`nested`) through other groups. */
  groups(
    dn: string,
    options?: { readonly nested?: boolean; readonly signal?: AbortSignal },
  ): Promise<readonly string[]>;
  search(search: DirectorySearch): Promise<DirectoryResult>;
  /** Who the server takes the account for (RFC 4532); `null` where it cannot say. */
  whoAmI(options?: { readonly signal?: AbortSignal }): Promise<string | null>;
}
