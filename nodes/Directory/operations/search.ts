import type { INodeProperties } from 'n8n-workflow';
import { directoryFilter, filterWithValues, rowsOf, type Condition } from '../../../src/n8n/directory-filter.ts';
import { entryItem } from '../../../src/n8n/directory-output.ts';
import { abortable, textOf, type Operation, type OperationCall } from './operation.ts';

const SHOWN = { operation: ['search'] };
const BY_CONDITIONS = { show: { ...SHOWN, filterBy: ['conditions'] } };
const BY_FILTER = { show: { ...SHOWN, filterBy: ['filter'] } };

const where: INodeProperties[] = [
  {
    displayName: 'Base DN',
    name: 'baseDn',
    type: 'resourceLocator',
    default: { mode: 'dn', value: '' },
    description: 'Where to start. Leave it empty for the base DN of the credential.',
    displayOptions: { show: SHOWN },
    modes: [
      {
        displayName: 'From List',
        name: 'list',
        type: 'list',
        placeholder: 'Select an entry…',
        typeOptions: { searchListMethod: 'searchBases', searchable: true },
      },
      { displayName: 'By DN', name: 'dn', type: 'string', placeholder: 'ou=people,dc=example,dc=com' },
    ],
  },
  {
    displayName: 'Scope',
    name: 'scope',
    type: 'options',
    options: [
      { name: 'Base', value: 'base', description: 'The entry at the base DN itself' },
      { name: 'One Level', value: 'one', description: 'Entries directly below it' },
      { name: 'Whole Subtree', value: 'sub', description: 'It and everything below it' },
    ],
    default: 'sub',
    description: 'How far down the search goes',
    displayOptions: { show: SHOWN },
  },
  {
    displayName: 'Find By',
    name: 'filterBy',
    type: 'options',
    options: [
      { name: 'Conditions', value: 'conditions', description: 'Attributes and values; values are escaped' },
      { name: 'Filter', value: 'filter', description: 'A filter of your own, with values that are put in and escaped' },
    ],
    default: 'conditions',
    description: 'How the entries are chosen',
    displayOptions: { show: SHOWN },
  },
];

const conditions: INodeProperties[] = [
  {
    displayName: 'Combine',
    name: 'combine',
    type: 'options',
    options: [
      { name: 'All', value: 'all', description: 'An entry must meet every condition' },
      { name: 'Any', value: 'any', description: 'One condition is enough' },
    ],
    default: 'all',
    description: 'How the conditions belong together',
    displayOptions: BY_CONDITIONS,
  },
  {
    displayName: 'Conditions',
    name: 'conditions',
    type: 'fixedCollection',
    typeOptions: { multipleValues: true },
    placeholder: 'Add Condition',
    default: { condition: [{ attribute: 'objectClass', operator: 'equals', value: 'person' }] },
    description:
      'Values are data: whatever they hold, they change nothing but what is compared. An empty one is refused.',
    displayOptions: BY_CONDITIONS,
    options: [
      {
        displayName: 'Condition',
        name: 'condition',
        values: [
          {
            displayName: 'Attribute',
            name: 'attribute',
            type: 'string',
            default: '',
            placeholder: 'mail',
            description: 'Which attribute of the entries is compared',
          },
          {
            displayName: 'Operator',
            name: 'operator',
            type: 'options',
            options: [
              { name: 'Contains', value: 'contains' },
              { name: 'Ends With', value: 'endsWith' },
              { name: 'Equals', value: 'equals' },
              { name: 'Exists', value: 'exists' },
              { name: 'Greater or Equal', value: 'greaterOrEqual' },
              { name: 'Less or Equal', value: 'lessOrEqual' },
              { name: 'Not Equals', value: 'notEquals' },
              { name: 'Not Exists', value: 'notExists' },
              { name: 'Starts With', value: 'startsWith' },
            ],
            default: 'equals',
            description: 'How it is compared. The directory decides about case and accents.',
          },
          {
            displayName: 'Value',
            name: 'value',
            type: 'string',
            default: '',
            description: 'What it is compared with',
            displayOptions: { hide: { operator: ['exists', 'notExists'] } },
          },
        ],
      },
    ],
  },
];

const filter: INodeProperties[] = [
  {
    displayName: 'Filter',
    name: 'filter',
    type: 'string',
    default: '(objectClass=person)',
    placeholder: '(&(objectClass=person)(mail={mail}))',
    description:
      'RFC 4515. Put no expression with data of others in here, which could change the filter: name the value in braces and give it below.',
    displayOptions: BY_FILTER,
  },
  {
    displayName: 'Filter Values',
    name: 'filterValues',
    type: 'fixedCollection',
    typeOptions: { multipleValues: true },
    placeholder: 'Add Value',
    default: {},
    description: 'What takes the place of a name in braces. It is escaped, and must not be empty.',
    displayOptions: BY_FILTER,
    options: [
      {
        displayName: 'Value',
        name: 'value',
        values: [
          {
            displayName: 'Name',
            name: 'name',
            type: 'string',
            default: '',
            placeholder: 'mail',
            description: 'The name in braces',
          },
          { displayName: 'Value', name: 'value', type: 'string', default: '', description: 'What takes its place' },
        ],
      },
    ],
  },
];

const result: INodeProperties[] = [
  {
    displayName: 'Attributes',
    name: 'attributes',
    type: 'string',
    default: '',
    placeholder: 'cn,mail,memberOf',
    description:
      'Separated by commas. Leave it empty for all ordinary ones; "+" adds those of the server. Passwords are never returned.',
    displayOptions: { show: SHOWN },
  },
  {
    displayName: 'Return All',
    name: 'returnAll',
    type: 'boolean',
    default: false,
    description: 'Whether to return all results or only up to a given limit',
    displayOptions: { show: SHOWN },
  },
  {
    displayName: 'Limit',
    name: 'limit',
    type: 'number',
    typeOptions: { minValue: 1 },
    default: 50,
    description: 'Max number of results to return',
    displayOptions: { show: { ...SHOWN, returnAll: [false] } },
  },
];

/** Entries of the directory, each an item. */
export const searchOperation: Operation = {
  option: {
    name: 'Search',
    value: 'search',
    action: 'Search entries',
    description: 'Entries of the directory, read in pages, each as an item of its own',
  },
  properties: [...where, ...conditions, ...filter, ...result],
  run: async (call) => {
    const { entries } = await call.directory.search({
      ...baseOf(call),
      scope: scopeOf(call),
      filter: filterOf(call),
      ...attributesOf(call),
      ...limitOf(call),
      ...abortable(call),
    });
    return entries.map(entryItem);
  },
};

function baseOf({ context, itemIndex }: OperationCall): { baseDn?: string } {
  const value: unknown = context.getNodeParameter('baseDn', itemIndex, '', { extractValue: true });
  return typeof value === 'string' && value.trim() !== '' ? { baseDn: value.trim() } : {};
}

function scopeOf({ context, itemIndex }: OperationCall): 'base' | 'one' | 'sub' {
  const scope: unknown = context.getNodeParameter('scope', itemIndex, 'sub');
  return scope === 'base' || scope === 'one' ? scope : 'sub';
}

function filterOf(call: OperationCall): string {
  const { context, itemIndex } = call;
  if (context.getNodeParameter('filterBy', itemIndex, 'conditions') === 'filter') {
    const values = entered(call, 'filterValues.value').map(({ name, value }) => [String(name).trim(), value] as const);
    return filterWithValues(textOf(call, 'filter'), new Map(values));
  }
  const combine = context.getNodeParameter('combine', itemIndex, 'all') === 'any' ? 'any' : 'all';
  const rows = entered(call, 'conditions.condition').map(({ attribute, operator, value }): Condition => ({
    attribute,
    operator,
    value,
  }));
  return directoryFilter({ combine, conditions: rows });
}

function entered({ context, itemIndex }: OperationCall, name: string): Readonly<Record<string, unknown>>[] {
  return rowsOf(context.getNodeParameter(name, itemIndex, []));
}

function attributesOf(call: OperationCall): { attributes?: string[] } {
  const names = textOf(call, 'attributes').split(',');
  const attributes = names.map((name) => name.trim()).filter((name) => name !== '');
  return attributes.length === 0 ? {} : { attributes };
}

function limitOf({ context, itemIndex }: OperationCall): { limit?: number } {
  if (context.getNodeParameter('returnAll', itemIndex, false)) return {};
  const limit: unknown = context.getNodeParameter('limit', itemIndex, 50);
  return { limit: typeof limit === 'number' && limit >= 1 ? Math.floor(limit) : 50 };
}
