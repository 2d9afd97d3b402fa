import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { escapeLdapFilter } from '../protocols/ldap/escape.ts';

/** One condition as a person entered it. The value is data: it never becomes a part of the filter's structure. */
export interface Condition {
  readonly attribute: unknown;
  readonly operator: unknown;
  readonly value: unknown;
}

export interface Conditions {
  readonly combine: 'all' | 'any';
  readonly conditions: readonly Condition[];
}

/** Attribute descriptions, RFC 4512 §2.5. */
const ATTRIBUTE = /^(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*$/;
const PLACE = /\{([A-Za-z]\w{0,63})\}/g;

const OPERATORS: Readonly<Record<string, (attribute: string, value: string) => string>> = {
  contains: (attribute, value) => `(${attribute}=*${value}*)`,
  endsWith: (attribute, value) => `(${attribute}=*${value})`,
  equals: (attribute, value) => `(${attribute}=${value})`,
  greaterOrEqual: (attribute, value) => `(${attribute}>=${value})`,
  lessOrEqual: (attribute, value) => `(${attribute}<=${value})`,
  notEquals: (attribute, value) => `(!(${attribute}=${value}))`,
  startsWith: (attribute, value) => `(${attribute}=${value}*)`,
};

/**
 * A filter (RFC 4515) out of conditions. An empty value is refused, because it would find everything where somebody wanted one.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the condition, never its value
 */
export function directoryFilter({ combine, conditions }: Conditions): string {
  if (conditions.length === 0) throw malformed('conditions', 'needs at least one condition');
  const parts = conditions.map((condition, index) => part(condition, `conditions[${String(index)}]`));
  return parts.length === 1 ? parts.join('') : `(${combine === 'any' ? '|' : '&'}${parts.join('')})`;
}

/**
 * A filter as somebody wrote it, with values put in the place of their names in braces, escaped. Whether it is a filter is
 * looked at where it is used.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED` for no text, a name without a value, and an empty value
 */
export function filterWithValues(template: string, values: ReadonlyMap<string, unknown>): string {
  const filter = template.trim();
  if (filter === '') throw malformed('filter', 'must not be empty');
  return filter.replaceAll(PLACE, (_place, name: string) => escaped(values.get(name), `filterValues.${name}`));
}

/** The rows that a person added to a collection of a node. */
export function rowsOf(collection: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(collection) ? collection.filter(isPlainObject) : [];
}

function part({ attribute, operator, value }: Condition, field: string): string {
  const name = typeof attribute === 'string' ? attribute.trim() : '';
  if (!ATTRIBUTE.test(name)) throw malformed(`${field}.attribute`, 'must be the name of an attribute');
  if (operator === 'exists') return `(${name}=*)`;
  if (operator === 'notExists') return `(!(${name}=*))`;
  const written = typeof operator === 'string' && Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (written === undefined) throw malformed(`${field}.operator`, 'is none that this node knows');
  return written(name, escaped(value, `${field}.value`));
}

function escaped(value: unknown, field: string): string {
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  const text = isScalar ? String(value) : '';
  if (text === '') throw malformed(field, 'must not be empty');
  return escapeLdapFilter(text);
}

function malformed(field: string, why: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', `The field "${field}" ${why}.`);
}
