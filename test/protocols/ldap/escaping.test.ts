import fc from 'fast-check';
import { FilterParser, PresenceFilter, type Filter } from 'ldapts';
import { escapeLdapDn } from '../../../src/protocols/ldap/dn.ts';
import { escapeLdapFilter, fillFilter, isFilter } from '../../../src/protocols/ldap/filter.ts';
import { sharedVectors, vectorSuite } from '../../support/vectors.ts';

/** What a parser that is not ours finds as the value of the one comparison in `(uid=…)`. */
function parsedValue(escaped: string): unknown {
  const filter: Filter & { value?: unknown } = FilterParser.parseString(`(uid=${escaped})`);
  if (filter instanceof PresenceFilter) throw new Error('a presence filter');
  return filter.value;
}

describe('L1: a value in a filter', () => {
  // RFC 4515 §4, and what stands beside it.
  it.each([
    ['Parens R Us (for all your parenthetical needs)', String.raw`Parens R Us \28for all your parenthetical needs\29`],
    ['*', String.raw`\2a`],
    ['C:\\MyFile', String.raw`C:\5cMyFile`],
    ['Lučić', 'Lučić'],
    ['\0', String.raw`\00`],
    ['*)(uid=*', String.raw`\2a\29\28uid=\2a`],
    ['admin*)((|userPassword=*)', String.raw`admin\2a\29\28\28|userPassword=\2a\29`],
    ['', ''],
    ['\ud800', '\ufffd'],
  ])('%j is written %s', (value, escaped) => {
    expect(escapeLdapFilter(value)).toBe(escaped);
  });

  it('of bytes is written in hexadecimal, as in the RFC and for overlong UTF-8', () => {
    expect(escapeLdapFilter(Buffer.from([0, 0, 0, 4]))).toBe(String.raw`\00\00\00\04`);
    expect(escapeLdapFilter(Buffer.from([0xc0, 0xaf]))).toBe(String.raw`\c0\af`);
  });

  it('is one literal value, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (value) => {
        expect(parsedValue(escapeLdapFilter(value))).toBe(value.toWellFormed());
      }),
    );
  });

  it('stays in its place of a template, and is no replacement pattern', () => {
    expect(fillFilter('(&(a={username})(b={username}))', 'username', "$&)($'")).toBe(
      String.raw`(&(a=$&\29\28$')(b=$&\29\28$'))`,
    );
  });
});

vectorSuite('L1: each line of the fuzz list', sharedVectors('ldap-fuzz-small.txt'), (text) => {
  const lines = text.split('\n').filter((line) => line !== '');
  it(`is one literal value (${String(lines.length)} lines)`, () => {
    expect(lines.length).toBeGreaterThan(15);
    for (const line of lines) expect(parsedValue(escapeLdapFilter(line))).toBe(line);
  });
});

describe('a filter of the settings', () => {
  it.each<[string, boolean]>([
    ['(uid=x)', true],
    ['(&(objectClass=user)(|(uid=x)(mail=x)))', true],
    ['(member:1.2.840.113556.1.4.1941:=cn=x)', true],
    ['uid=x', false],
    ['(uid=x', false],
    ['(uid=x))', false],
    ['(&(uid=x)', false],
    ['()', false],
    ['', false],
    ['('.repeat(40) + 'uid=x' + ')'.repeat(40), false],
    [`(uid=${'x'.repeat(20_000)})`, false],
  ])('%.60s is %s', (filter, good) => {
    expect(isFilter(filter)).toBe(good);
  });
});

describe('L2: a value in a distinguished name', () => {
  // RFC 4514 §4, and what stands beside it.
  it.each([
    ['Jim, "Jimmy" Smith', String.raw`Jim\, \"Jimmy\" Smith`],
    ['Before\rAfter', String.raw`Before\0dAfter`],
    ['Lučić', 'Lučić'],
    ['x,ou=admins', String.raw`x\,ou\=admins`],
    ['#sharp', String.raw`\#sharp`],
    ['in # between', 'in # between'],
    [' both ends ', String.raw`\ both ends\ `],
    [' ', String.raw`\ `],
    ['  ', String.raw`\ \ `],
    ['back\\ ', String.raw`back\\\ `],
    ['a+b;c<d>e', String.raw`a\+b\;c\<d\>e`],
    ['nul\0', String.raw`nul\00`],
    ['', ''],
  ])('%j is written %s', (value, escaped) => {
    expect(escapeLdapDn(value)).toBe(escaped);
  });

  it('comes back from a reader of RFC 4514 as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(readValue(escapeLdapDn(value))).toBe(value.toWellFormed());
      }),
    );
  });
});

/** The value of RFC 4514 §3, read character by character; throws where the grammar has no such string. */
function readValue(text: string): string {
  if (/^[ #]/.test(text) || /(?<!\\)(\\\\)* $/.test(text)) throw new Error('a bare character at an end');
  const bytes: Buffer[] = [];
  for (let rest = text; rest !== '';) {
    const [whole = '', hex, special, plain] =
      /^(?:\\([0-9a-f]{2})|\\([ "#+,;<=>\\])|([^\0"+,;<>\\]))/u.exec(rest) ?? [];
    if (whole === '') throw new Error('a character that must be escaped');
    bytes.push(hex === undefined ? Buffer.from(special ?? plain ?? '') : Buffer.from(hex, 'hex'));
    rest = rest.slice(whole.length);
  }
  return Buffer.concat(bytes).toString();
}
