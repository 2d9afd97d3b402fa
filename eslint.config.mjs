import { readdirSync } from 'node:fs';
import js from '@eslint/js';
import n8nPlugin from '@n8n/eslint-plugin-community-nodes';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** The only files that may say `as`: here bytes and rows become types, after they were checked. */
const CODECS = ['src/storage/**/*.ts', 'src/vault/envelope.ts'];

/** Where the outside world is met: the clock, chance, the network and the environment come in here and are handed on. */
const FACES = ['src/ports.ts', 'src/cli/**/*.ts', 'src/n8n/**/*.ts', 'src/service/**/*.ts', 'src/sandbox/**/*.ts'];

/** What may print. */
const PRINTING = ['src/cli/**/*.ts', 'src/sandbox/**/*.ts'];

/** All that the lifecycle knows of the rest: interfaces and words. */
const LIFECYCLE_MAY_IMPORT = [
  './lifecycle',
  './ports.ts',
  './errors.ts',
  './secret.ts',
  './json.ts',
  './protocols/protocol.ts',
  './storage/record-store.ts',
  './storage/ledger.ts',
  './storage/secret-store.ts',
  './vault/vault.ts',
];

/** Each folder is a protocol; the files beside the folders are what all protocols share. */
const PROTOCOL_ENTRIES = readdirSync(new URL('src/protocols', import.meta.url), { withFileTypes: true });
const PROTOCOLS = PROTOCOL_ENTRIES.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const SHARED_BY_PROTOCOLS = PROTOCOL_ENTRIES.filter((entry) => entry.isFile()).map((entry) => `./${entry.name}`);

const ZONES = [
  {
    target: './src/lifecycle',
    from: './src',
    except: LIFECYCLE_MAY_IMPORT,
    message: 'The lifecycle imports interfaces only (docs/architecture.md).',
  },
  {
    target: './src/protocols',
    from: './src',
    except: ['./protocols', './outbound', './ports.ts', './errors.ts', './secret.ts', './json.ts'],
    message: 'A protocol knows neither storage nor lifecycle nor any face (docs/architecture.md).',
  },
  {
    target: './src/outbound',
    from: './src',
    except: ['./outbound', './ports.ts', './errors.ts'],
    message: 'The outbound policy serves every protocol and knows none.',
  },
  ...PROTOCOLS.map((protocol) => ({
    target: `./src/protocols/${protocol}`,
    from: './src/protocols',
    except: [`./${protocol}`, ...SHARED_BY_PROTOCOLS],
    message: 'Protocols never import each other.',
  })),
  {
    target: ['./credentials', './nodes'],
    from: './src',
    except: ['./n8n'],
    message: 'What n8n loads is data and calls into src/n8n.',
  },
  {
    target: './src',
    from: './src/index.ts',
    message: 'src/index.ts is the face to other packages; import the file itself.',
  },
];

const NO_N8N = ['n8n-workflow', 'n8n-core'].map((name) => ({
  name,
  message: 'Only src/n8n, credentials and nodes know n8n.',
}));

const NO_OUTSIDE_WORLD = {
  'no-restricted-globals': [
    'error',
    ...['fetch', 'setTimeout', 'setInterval', 'setImmediate', 'performance'].map((name) => ({
      name,
      message: 'Take it from the ports that come in by the constructor.',
    })),
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: 'Ask the Clock.' },
    { object: 'Math', property: 'random', message: 'Ask the RandomSource.' },
    { object: 'process', property: 'env', message: 'Settings come in by the constructor.' },
    { object: 'process', property: 'hrtime', message: 'Ask the Clock.' },
    ...['fetch', 'setTimeout', 'setInterval', 'setImmediate', 'performance'].map((property) => ({
      object: 'globalThis',
      property,
      message: 'Take it from the ports that come in by the constructor.',
    })),
  ],
};
const NO_OUTSIDE_MODULES = [
  'node:process',
  'node:timers',
  'node:timers/promises',
  'process',
  'timers',
  'timers/promises',
].map((name) => ({ name, message: 'Take it from the ports that come in by the constructor.' }));

const NO_ENUM = { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' };
const NO_CLOCKLESS_DATE = {
  selector: "NewExpression[callee.name='Date'][arguments.length=0]",
  message: 'Ask the Clock.',
};
const NO_ASSERTION = {
  selector: "TSAsExpression:not([typeAnnotation.typeName.name='const']), TSTypeAssertion",
  message: 'Parse the value instead; only the codecs named at the top of eslint.config.mjs may assert types.',
};
/** XState takes types as `{} as T`, a value that is never read. */
const NO_ASSERTION_BUT_TYPES = {
  ...NO_ASSERTION,
  selector: `:matches(${NO_ASSERTION.selector}):not([expression.type='ObjectExpression'][expression.properties.length=0])`,
};
const NO_SILENCED_TEST = {
  selector:
    'MemberExpression:matches([property.name=/^(skip|only|todo|failing)$/], [property.value=/^(skip|only|todo|failing)$/])' +
    ':matches([object.name=/^(describe|it|test)$/], [object.object.name=/^(describe|it|test)$/])',
  message: 'A test runs or is not there.',
};

/**
 * The rules of the n8n plugin that we cannot keep. We are a self-hosted package, outside n8n's verified tier, on purpose: an
 * engine needs dependencies, and the verified tier allows none.
 */
const N8N_RULES_OFF = {
  // The engine stands on xstate, openid-client, better-sqlite3 and others; none of them has an install script.
  '@n8n/community-nodes/no-runtime-dependencies': 'off',
  // Takes the operation "test" of the node, resources/credential/test.ts, for a test file left behind.
  '@n8n/community-nodes/no-dead-files': 'off',
};

const NEWER_THAN_ES5 = {
  selector: [
    "VariableDeclaration[kind!='var']",
    'ArrowFunctionExpression',
    'ClassDeclaration',
    'TemplateLiteral',
    'SpreadElement',
    'ObjectPattern',
    'ArrayPattern',
    'AssignmentPattern',
    'ChainExpression',
    'AwaitExpression',
    "LogicalExpression[operator='??']",
    'Property[shorthand=true]',
    'CatchClause[param=null]',
  ].join(', '),
  message: 'This file has to parse on any Node, to be able to refuse it.',
};

/** Files in plain JavaScript are checked by the compiler (checkJs); the rules that need types are for TypeScript. */
const PLAIN_JAVASCRIPT = ['**/*.{js,cjs,mjs}'];

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', '.credlife/', 'bench/'] },
  {
    files: ['**/*.{ts,js,cjs,mjs}'],
    extends: [js.configs.recommended, ...tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    settings: {
      'import-x/extensions': ['.ts', '.js', '.cjs', '.mjs'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'] })],
    },
    rules: {
      // openid-client marks its one dangerous switch as deprecated so that it stands out; ours is called by its long name.
      '@typescript-eslint/no-deprecated': [
        'error',
        { allow: [{ from: 'package', name: 'allowInsecureRequests', package: 'openid-client' }] },
      ],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', { max: 500 }],
      'max-lines-per-function': ['error', { max: 80 }],
      'no-undef': 'off',
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      // [...text] is how a string is taken apart by characters.
      '@typescript-eslint/no-misused-spread': ['error', { allow: ['string'] }],
      // A constructor that narrows the parameters of its parent looks useless to this rule.
      '@typescript-eslint/no-useless-constructor': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['src/**/*.ts', 'credentials/**/*.ts', 'nodes/**/*.ts'],
    rules: {
      'no-console': 'error',
      'import-x/no-restricted-paths': ['error', { zones: ZONES }],
      'no-restricted-imports': ['error', { paths: [...NO_N8N, ...NO_OUTSIDE_MODULES] }],
      'no-restricted-syntax': ['error', NO_ENUM, NO_CLOCKLESS_DATE, NO_ASSERTION],
      ...NO_OUTSIDE_WORLD,
    },
  },
  {
    files: ['src/lifecycle/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['**/vault/*', '**/storage/*'],
              allowTypeImports: true,
              message: 'The lifecycle knows these as types only.',
            },
          ],
        },
      ],
    },
  },
  {
    // Asynchronous interfaces over a synchronous database: `async` is what turns a throw into a rejection.
    files: ['src/storage/**/*.ts', 'src/lease/**/*.ts', 'src/sessions/**/*.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/require-await': 'off' },
  },
  { files: CODECS, rules: { 'no-restricted-syntax': ['error', NO_ENUM, NO_CLOCKLESS_DATE] } },
  {
    files: FACES,
    rules: {
      'no-restricted-imports': ['error', { paths: NO_N8N }],
      'no-restricted-syntax': ['error', NO_ENUM, NO_ASSERTION],
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
    },
  },
  {
    files: ['src/lifecycle/machine.ts'],
    rules: { 'no-restricted-syntax': ['error', NO_ENUM, NO_CLOCKLESS_DATE, NO_ASSERTION_BUT_TYPES] },
  },
  { files: PRINTING, rules: { 'no-console': 'off' } },
  { files: ['src/n8n/**/*.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['credentials/**/*.ts', 'nodes/**/*.ts'],
    rules: { 'no-restricted-imports': ['error', { paths: NO_OUTSIDE_MODULES }] },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      // The types of jest give expect.objectContaining() and its like the type any.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      'no-restricted-syntax': ['error', NO_ENUM, NO_SILENCED_TEST],
      'no-restricted-globals': ['error', 'xit', 'xtest', 'xdescribe', 'fit', 'fdescribe'],
    },
  },
  {
    files: PLAIN_JAVASCRIPT,
    extends: [tseslint.configs.disableTypeChecked],
    rules: { '@typescript-eslint/no-require-imports': 'off', '@typescript-eslint/no-dynamic-delete': 'off' },
  },
  {
    // No let, const or arrow functions: these two must parse on any Node, to be able to refuse it.
    files: ['bin/*.cjs'],
    rules: { 'no-var': 'off', 'object-shorthand': 'off', 'no-restricted-syntax': ['error', NEWER_THAN_ES5] },
  },
  {
    files: ['credentials/**/*.ts', 'nodes/**/*.ts', 'package.json'],
    extends: [n8nPlugin.configs.recommended],
    rules: N8N_RULES_OFF,
  },
  {
    files: ['package.json'],
    languageOptions: { parser: tseslint.parser, parserOptions: { extraFileExtensions: ['.json'] } },
  },
);
