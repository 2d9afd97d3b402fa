/** What one variable of the environment says. `docs/settings.md` is this table; a test keeps the two equal. */
export interface Setting {
  readonly meaning: string;
  readonly default: string;
}

/** All variables that this package reads, in each process that opens an engine: n8n's main, workers and webhooks, the command. */
export const SETTINGS = {
  CREDLIFE_DATABASE: {
    meaning: 'SQLite file, or a `postgres://` URL',
    default: "`.credlife/credentials.db`; in n8n `credential-lifecycle/credentials.db` in n8n's folder",
  },
  CREDLIFE_MASTER_KEY: { meaning: '32 bytes, hexadecimal or base64', default: '–' },
  CREDLIFE_MASTER_KEY_FILE: {
    meaning: 'a file with the same, which not everybody may read',
    default: '`master.key` beside the database, if it exists',
  },
  CREDLIFE_PASSPHRASE_FILE: { meaning: 'a file with a passphrase (Argon2id)', default: '–' },
  CREDLIFE_ANCHOR_FILE: {
    meaning: 'a file elsewhere that remembers how new the store is, so that an older copy of it is refused',
    default: '–',
  },
  CREDLIFE_BUDGETS: {
    meaning:
      'how many refreshes an endpoint gets, as `HOST=REQUESTS/SECONDS`, several with commas: `accounts.zoho.com=5/60`',
    default: 'as many as are due',
  },
  CREDLIFE_KEEPER: {
    meaning: '`auto`, `on` or `off`: whether this process refreshes due credentials',
    default: '`auto`: in `serve` and in n8n',
  },
  CREDLIFE_INSPECT: {
    meaning: 'the address that `credlife inspect` printed: this process publishes its actors there',
    default: '–',
  },
  CREDLIFE_LOG_LEVEL: {
    meaning: "`fatal` … `trace`, `silent`. In n8n the lines go to n8n's log, and `N8N_LOG_LEVEL` holds as well",
    default: "`error`; in n8n what n8n's log takes",
  },
  CREDLIFE_N8N_URL: {
    meaning: 'where the n8n is whose own credentials are watched: `docs/n8n-watch.md`',
    default: '–',
  },
  CREDLIFE_N8N_API_KEY_FILE: {
    meaning: 'a file with an API key of that n8n, which not everybody may read',
    default: '–',
  },
  CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT: {
    meaning: '`true`: the API key may travel over http:// to another machine',
    default: '`false`',
  },
} as const satisfies Record<string, Setting>;
