import { beforeAll, describe, expect, it } from '@jest/globals';
import type { ICredentialType, INodeProperties, INodeType } from 'n8n-workflow';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';

const ROOT = join(__dirname, '../..');
const FILES = globSync('{credentials/*.credentials,nodes/*/*.node}.ts', { cwd: ROOT }).sort();
/** They are told what they are by their own text, or nobody sees them. */
const WITHOUT_DESCRIPTION = ['notice', 'hidden', 'collection', 'fixedCollection'];

interface Field {
  readonly field: string;
  readonly property: INodeProperties;
}

const fields: Field[] = [];

beforeAll(async () => {
  for (const file of FILES) fields.push(...fieldsOf(basename(file, '.ts'), (await instanceOf(file)).properties));
});

async function instanceOf(file: string): Promise<{ properties: INodeProperties[] }> {
  const loaded = (await import(join(ROOT, file))) as Record<string, new () => ICredentialType | INodeType>;
  const Type = loaded[basename(file).split('.')[0] ?? ''];
  if (!Type) throw new Error(`${file} does not export its class`);
  const made = new Type();
  return 'description' in made ? made.description : made;
}

function fieldsOf(place: string, properties: readonly INodeProperties[]): Field[] {
  return properties.flatMap((property) => {
    const field = `${place}: ${property.displayName}`;
    const inner = (property.options ?? []).flatMap((option) => {
      if ('values' in option) return fieldsOf(field, option.values);
      return 'displayName' in option ? fieldsOf(field, [option]) : [];
    });
    return [{ field, property }, ...inner];
  });
}

describe('the texts of all forms and panels', () => {
  it('are there: every field says what it does', () => {
    const silent = fields.filter(({ property: { type, description = '', name, options = [] } }) => {
      // What can be chosen says it there.
      const choices = options.filter((option) => 'value' in option);
      const speaks = choices.length > 0 && choices.every((choice) => (choice.description ?? '') !== '');
      const isPlain = WITHOUT_DESCRIPTION.includes(type) || name === 'resource';
      return !isPlain && !speaks && description === '';
    });
    expect(silent.map(({ field }) => field)).toEqual([]);
  });

  it('hold no name of a field where a word belongs', () => {
    for (const { field, property } of fields) {
      expect({ field, label: property.displayName }).toEqual({ field, label: expect.stringMatching(/^[A-Z]/) });
      expect({ field, raw: /\b[a-z]+[A-Z]\w+/.exec(property.displayName)?.[0] ?? null }).toEqual({
        field,
        raw: field.includes('memberOf') ? 'memberOf' : null,
      });
    }
    expect(fields.length).toBeGreaterThan(50);
  });
});
