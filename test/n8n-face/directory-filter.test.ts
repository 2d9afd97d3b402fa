import { describe, expect, it } from '@jest/globals';
import { directoryFilter, filterWithValues, rowsOf, type Condition } from '../../src/n8n/directory-filter.ts';

const HOSTILE = '*)(uid=*))(|(uid=*\\\0';
const ESCAPED = '\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a\\5c\\00';

function one(attribute: unknown, operator: unknown, value?: unknown): string {
  return directoryFilter({ combine: 'all', conditions: [{ attribute, operator, value }] });
}

describe('conditions', () => {
  it.each<[string, string]>([
    ['equals', '(cn=a)'],
    ['notEquals', '(!(cn=a))'],
    ['contains', '(cn=*a*)'],
    ['startsWith', '(cn=a*)'],
    ['endsWith', '(cn=*a)'],
    ['greaterOrEqual', '(cn>=a)'],
    ['lessOrEqual', '(cn<=a)'],
    ['exists', '(cn=*)'],
    ['notExists', '(!(cn=*))'],
  ])('%s become a filter', (operator, filter) => {
    expect(one('cn', operator, 'a')).toBe(filter);
  });

  it.each(['equals', 'notEquals', 'contains', 'startsWith', 'endsWith', 'greaterOrEqual', 'lessOrEqual'])(
    '%s takes a hostile value for a value',
    (operator) => {
      const filter = one('cn', operator, HOSTILE);
      expect(filter).toContain(ESCAPED);
      // What is left without the escaped value is what an innocent one gives.
      expect(filter.replace(ESCAPED, 'a')).toBe(one('cn', operator, 'a'));
    },
  );

  it('belong together by "and", or by "or"', () => {
    const conditions: Condition[] = [
      { attribute: 'mail', operator: 'equals', value: 'a@example.com' },
      { attribute: 'uidNumber', operator: 'greaterOrEqual', value: 1000 },
      { attribute: 'cn;lang-de', operator: 'exists', value: '' },
    ];
    const parts = '(mail=a@example.com)(uidNumber>=1000)(cn;lang-de=*)';
    expect(directoryFilter({ combine: 'all', conditions })).toBe(`(&${parts})`);
    expect(directoryFilter({ combine: 'any', conditions })).toBe(`(|${parts})`);
  });

  it.each<[string, unknown, unknown, unknown]>([
    ['an empty value', 'cn', 'contains', ''],
    ['a value that an expression did not find', 'cn', 'equals', undefined],
    ['null', 'cn', 'equals', null],
    ['an object', 'cn', 'equals', { $ne: 1 }],
    ['a list', 'cn', 'equals', ['a']],
    ['no attribute', '', 'equals', 'a'],
    ['an attribute that is structure', 'cn=*)(uid', 'equals', 'a'],
    ['an attribute that is no text', 5, 'exists', 'a'],
    ['an operator that there is not', 'cn', 'approx', 'a'],
    ['an operator out of the prototype', 'cn', 'constructor', 'a'],
    ['no operator', 'cn', undefined, 'a'],
  ])('with %s are refused by field, and no value is quoted', (_what, attribute, operator, value) => {
    expect(() => one(attribute, operator, value)).toThrow(
      expect.objectContaining({
        code: 'ERR_CONFIG_MALFORMED',
        message: expect.stringMatching(/^The field "conditions\[0\]\.(attribute|operator|value)" [a-z ]+\.$/),
      }),
    );
  });

  it('are refused when there is none: that would find everything', () => {
    expect(() => directoryFilter({ combine: 'all', conditions: [] })).toThrow('needs at least one condition');
  });
});

describe('a filter with values', () => {
  it('takes hostile values for values, wherever they stand', () => {
    const template = ' (&(objectClass=person)(|(uid={who})(mail={who}))) ';
    expect(filterWithValues(template, new Map([['who', HOSTILE]]))).toBe(
      `(&(objectClass=person)(|(uid=${ESCAPED})(mail=${ESCAPED})))`,
    );
  });

  it('does not look for names in values', () => {
    const values = new Map([
      ['a', '{b}'],
      ['b', 'secret'],
    ]);
    expect(filterWithValues('(cn={a})', values)).toBe('(cn={b})');
  });

  it.each<[string, string, Map<string, unknown>]>([
    ['no value for a name', '(uid={who})', new Map()],
    ['an empty value', '(uid={who})', new Map([['who', '']])],
    ['no filter', '', new Map()],
  ])('is refused with %s', (_what, template, values) => {
    expect(() => filterWithValues(template, values)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED' }));
  });
});

describe('rows of a collection', () => {
  it('are its objects, whatever an expression made of it', () => {
    expect(rowsOf([{ name: 'a' }, null, 'x', ['y']])).toEqual([{ name: 'a' }]);
    for (const none of [undefined, null, {}, 'text', 5]) expect(rowsOf(none)).toEqual([]);
  });
});
