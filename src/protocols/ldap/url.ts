import { ConfigurationError } from '../../errors.ts';

export type SearchScope = 'base' | 'one' | 'sub';

/** What an LDAP URL says (RFC 4516 §2). `null` where it says nothing. */
export interface LdapUrl {
  readonly scheme: 'ldap' | 'ldaps';
  readonly host: string | null;
  /** The port in the URL, else 389 or 636. */
  readonly port: number;
  /** Distinguished name to start at; empty for the root. */
  readonly dn: string;
  readonly attributes: readonly string[];
  readonly scope: SearchScope | null;
  readonly filter: string | null;
  readonly extensions: readonly { readonly name: string; readonly value: string | null; readonly critical: boolean }[];
}

const FORM = /^(?<scheme>ldaps?):\/\/(?<authority>[^/?#]*)(?:\/(?<rest>[^#]*))?$/i;
const AUTHORITY = /^(?<host>\[[0-9a-f:.]+\]|[^:@[\]]*)(?::(?<port>\d{1,5}))?$/i;
const DEFAULT_PORTS = { ldap: 389, ldaps: 636 } as const;

/**
 * Takes an LDAP URL apart (RFC 4516). Every part comes out decoded.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, also for a critical extension: none is known here (RFC 4516 §2)
 * @example
 * parseLdapUrl('ldap://ldap.example.net/o=Babsco,c=US?mail?sub?(cn=Babs%20Jensen)').filter; // '(cn=Babs Jensen)'
 */
export function parseLdapUrl(text: string): LdapUrl {
  const { scheme: schemeText = '', authority = '', rest = '' } = FORM.exec(text)?.groups ?? {};
  const { host: hostText, port: portText } = AUTHORITY.exec(authority)?.groups ?? {};
  if (schemeText === '' || hostText === undefined) throw malformed('it must begin with ldap:// or ldaps:// and a host');
  const scheme = schemeText.toLowerCase() === 'ldaps' ? 'ldaps' : 'ldap';
  const port = portText === undefined ? DEFAULT_PORTS[scheme] : Number(portText);
  if (port < 1 || port > 65_535) throw malformed('its port must be 1 to 65535');
  const [dn = '', attributes = '', scope = '', filter = '', extensions = '', ...more] = rest.split('?');
  if (more.length > 0) throw malformed('it has more than four question marks');
  const host = decoded(hostText).replace(/^\[(.*)\]$/, '$1');
  return {
    scheme,
    host: host === '' ? null : host,
    port,
    dn: decoded(dn),
    attributes: attributes === '' ? [] : attributes.split(',').map(decoded),
    scope: scopeOf(decoded(scope)),
    filter: filter === '' ? null : decoded(filter),
    extensions: extensions === '' ? [] : extensions.split(',').map(extensionOf),
  };
}

function scopeOf(text: string): SearchScope | null {
  const scope = text.toLowerCase();
  if (scope === '') return null;
  if (scope === 'base' || scope === 'one' || scope === 'sub') return scope;
  throw malformed('its scope must be base, one or sub');
}

function extensionOf(text: string): LdapUrl['extensions'][number] {
  const critical = text.startsWith('!');
  const [name = '', ...value] = text.slice(critical ? 1 : 0).split('=');
  if (critical) throw malformed('it has a critical extension, and none is known');
  return { name: decoded(name), value: value.length === 0 ? null : decoded(value.join('=')), critical };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed('it holds a percent sign that encodes nothing');
  }
}

function malformed(why: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', `The LDAP URL cannot be read: ${why}.`);
}
