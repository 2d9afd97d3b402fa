import { ConfigurationError } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import type {
  Authentication,
  Directory,
  DirectoryAccount as AccountFacts,
  DirectoryResult,
  DirectorySearch,
  DirectoryUser,
  UserOptions,
} from '../directory.ts';
import type { DirectoryAccount } from './account.ts';
import { readEntry, searchEntries } from './entries.ts';
import { isFilter } from './filter.ts';
import { groupsOf } from './groups.ts';
import { authenticateUser, findUser } from './users.ts';

interface Abortable {
  readonly signal?: AbortSignal;
}

/** The requests of a directory credential, over the pool of its account. It keeps nothing of its own. */
export class LdapDirectory implements Directory {
  readonly account: AccountFacts;
  readonly #account: () => DirectoryAccount;

  /** @param account Looked up anew for each request: an account that was not used for long is let go. */
  constructor(facts: AccountFacts, account: () => DirectoryAccount) {
    this.account = facts;
    this.#account = account;
    Object.freeze(this);
  }

  async authenticate(
    username: string,
    password: string | Secret<string>,
    { signal = NEVER }: Abortable = {},
  ): Promise<Authentication> {
    const text = password instanceof Secret ? password.unwrap() : password;
    if (typeof username !== 'string' || typeof text !== 'string') {
      throw new TypeError('Expected user name and password to be strings.');
    }
    return authenticateUser(this.#account(), { username, password: text }, signal);
  }

  async getUser(name: string, { signal = NEVER, ...options }: UserOptions = {}): Promise<DirectoryUser | null> {
    return findUser(this.#account(), name, options, signal);
  }

  async groups(
    dn: string,
    { nested = false, signal = NEVER }: Abortable & { readonly nested?: boolean } = {},
  ): Promise<readonly string[]> {
    const { pool, settings } = this.#account();
    return pool.run(async (connection) => {
      const entry = await readEntry(connection, dn, { attributes: ['memberOf'] }, signal);
      return entry === null ? [] : groupsOf(connection, settings, { entry, nested }, signal);
    }, signal);
  }

  async search(search: DirectorySearch): Promise<DirectoryResult> {
    const { signal = NEVER, filter } = search;
    if (filter !== undefined && !isFilter(filter)) {
      throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "filter" must be a search filter (RFC 4515).');
    }
    const { pool, settings } = this.#account();
    return pool.run((connection) => searchEntries(connection, settings, search, signal), signal);
  }

  async whoAmI({ signal = NEVER }: Abortable = {}): Promise<string | null> {
    return this.#account().pool.run((connection) => connection.identity(signal), signal);
  }
}

const NEVER = new AbortController().signal;
