import { ConfigurationError } from '../errors.ts';

export interface PostgresUrl {
  /** For the driver: without our own parameter. */
  readonly connectionString: string;
  readonly schema: string;
  /** Host, port and database, for messages. */
  readonly place: string;
}

const DEFAULT_SCHEMA = 'credlife';

/**
 * Takes our own parameter `schema` out of a libpq URL.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, which never quotes the URL: it holds a password
 */
export function parsePostgresUrl(text: string): PostgresUrl {
  const url = URL.parse(text);
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.host === '') {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The database URL is not of the form postgres://user:password@host/database.',
    );
  }
  const schema = url.searchParams.get('schema') ?? DEFAULT_SCHEMA;
  if (!/^[a-z_][a-z0-9_]{0,47}$/.test(schema)) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The schema of the database URL must be lower-case letters, digits and "_".',
    );
  }
  url.searchParams.delete('schema');
  return { connectionString: url.href, schema, place: `${url.host}${url.pathname}` };
}
