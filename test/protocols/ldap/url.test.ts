import fc from 'fast-check';
import { parseLdapUrl } from '../../../src/protocols/ldap/url.ts';
import { codeOf } from '../../support/codes.ts';

const NOTHING = { dn: '', attributes: [], scope: null, filter: null, extensions: [] };

describe('an LDAP URL', () => {
  // RFC 4516 §4, in its order.
  it.each<[string, object]>([
    ['ldap:///o=University%20of%20Michigan,c=US', { host: null, port: 389, dn: 'o=University of Michigan,c=US' }],
    ['ldap://ldap1.example.net/o=University%20of%20Michigan,c=US', { host: 'ldap1.example.net' }],
    [
      'ldap://ldap1.example.net/o=University%20of%20Michigan,c=US?postalAddress',
      { attributes: ['postalAddress'], scope: null },
    ],
    [
      'ldap://ldap1.example.net:6666/o=University%20of%20Michigan,c=US??sub?(cn=Babs%20Jensen)',
      { port: 6666, attributes: [], scope: 'sub', filter: '(cn=Babs Jensen)' },
    ],
    ['LDAP://ldap1.example.com/c=GB?objectClass?ONE', { scheme: 'ldap', dn: 'c=GB', scope: 'one' }],
    ['ldap://ldap2.example.com/o=Question%3f,c=US?mail', { dn: 'o=Question?,c=US', attributes: ['mail'] }],
    [
      'ldap://ldap3.example.com/o=Babsco,c=US???(four-octet=%5c00%5c00%5c00%5c04)',
      { filter: String.raw`(four-octet=\00\00\00\04)` },
    ],
    ['ldap://ldap.example.com/o=An%20Example%5C2C%20Inc.,c=US', { dn: String.raw`o=An Example\2C Inc.,c=US` }],
    ['ldap://ldap.example.net', NOTHING],
    ['ldap://ldap.example.net/', NOTHING],
    ['ldap://ldap.example.net/?', NOTHING],
    [
      'ldap:///??sub??e-bindname=cn=Manager%2cdc=example%2cdc=com',
      { extensions: [{ name: 'e-bindname', value: 'cn=Manager,dc=example,dc=com', critical: false }] },
    ],
    ['ldaps://[2001:db8::7]:3269', { scheme: 'ldaps', host: '2001:db8::7', port: 3269 }],
    ['ldaps://ldap.example.net', { port: 636 }],
  ])('%s is taken apart', (text, parts) => {
    expect(parseLdapUrl(text)).toMatchObject(parts);
  });

  it.each([
    'ldap:///??sub??!e-bindname=cn=Manager%2cdc=example%2cdc=com',
    'ldapi:///',
    'http://ldap.example.net',
    'ldap.example.net',
    'ldap://user:password@ldap.example.net',
    'ldap://ldap.example.net:0',
    'ldap://ldap.example.net:65536',
    'ldap://ldap.example.net:port',
    'ldap://ldap.example.net/%zz',
    'ldap://ldap.example.net/o=x??subtree',
    'ldap://ldap.example.net/o=x????a?b',
    'ldap://ldap.example.net/o=x#part',
    'ldap://[::1',
    '',
  ])('%j is refused', (text) => {
    expect(codeOf(() => parseLdapUrl(text))).toBe('ERR_CONFIG_MALFORMED');
  });

  it('gives parts or an error of the catalogue, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(['none', 'ERR_CONFIG_MALFORMED']).toContain(codeOf(() => parseLdapUrl(`ldap://${text}`)));
      }),
    );
  });
});
