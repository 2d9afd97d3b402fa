// What n8n's gate for verified packages would say of us: its rules over the sources and over the compiled package, where comments
// that switch rules off do not count.
//
//   node scripts/n8n-rules.mjs      prints { "source": { rule: findings }, "package": { rule: findings } }
import { createRequire } from 'node:module';
import n8nPlugin from '@n8n/eslint-plugin-community-nodes';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');
const FILES = ['**/*.{ts,js,cjs}', 'package.json'];

/**
 * @param {string[]} patterns
 * @returns {Promise<Record<string, number>>}
 */
async function findings(patterns) {
  const parser = { parser: tseslint.parser, parserOptions: { extraFileExtensions: ['.json'] } };
  const eslint = new ESLint({
    cwd: root,
    ignore: false,
    allowInlineConfig: false,
    overrideConfigFile: true,
    overrideConfig: [
      { files: FILES, languageOptions: parser },
      { ...n8nPlugin.configs.recommended, files: FILES },
    ],
  });
  const rules = (await eslint.lintFiles(patterns)).flatMap(({ messages }) =>
    messages.map(({ ruleId, message }) => (ruleId ?? message).replace('@n8n/community-nodes/', '')),
  );
  return Object.fromEntries(
    [...new Set(rules)].sort().map((rule) => [rule, rules.filter((one) => one === rule).length]),
  );
}

console.log(
  JSON.stringify({
    source: await findings(['package.json', 'credentials/**/*.ts', 'nodes/**/*.ts']),
    package: await findings(['package.json', 'dist/**/*.js', 'bin/*.cjs']),
  }),
);
