// Writes docs/lifecycle.md from the machine as it was built, so that the page cannot say anything else than the code.
// `--check` writes nothing and fails when the page is not what would be written.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';

const require = createRequire(import.meta.url);
const { root } = require('./bootstrap/project.cjs');
const { credentialMachine } = require('../dist/src/lifecycle/machine.js');
const { markdownTable, mermaidChart, transitionTable } = require('../dist/src/lifecycle/chart-text.js');
const { STATE_MEANINGS } = require('../dist/src/lifecycle/meanings.js');
const { EVENT_TYPES } = require('../dist/src/lifecycle/events.js');

const PAGE = path.join(root, 'docs/lifecycle.md');

/** @returns {string} */
function stateTable() {
  const rows = Object.entries(STATE_MEANINGS).map(([state, { meaning, reasons }]) => [
    `\`${state}\``,
    meaning,
    reasons.map((/** @type {string} */ reason) => `\`${reason}\``).join(', ') || '–',
  ]);
  return markdownTable(['state', 'what it tells', 'reasons'], rows);
}

function page() {
  return `# The life of a credential

This page is written by \`node scripts/lifecycle-doc.mjs\` from the machine in \`src/lifecycle/machine.ts\`; a test compares the two.
\`credlife machine --format mermaid\`, \`table\` or \`json\` prints the same; the JSON is a configuration that XState's
\`createMachine\` reads back.

## The chart

A line that leads into a state ends in the substate in brackets. Beside the life runs its health, as tests show it.

\`\`\`mermaid
${mermaidChart(credentialMachine.root)}\`\`\`

## States and their reasons

The reason is stored with the state, and reaches logs, events and n8n's output unchanged.

${stateTable()}
## Transitions

Where several rows share state and event, the first one that fits is taken. \`<effect> done\` and \`<effect> failed\` are the ends of the
effects \`claimRefresh\`, \`sendRefresh\` and \`revokeCredential\`. An effect writes the record first and then says where it is: the machine
follows the record. After an operation that did not touch the record, the actor rests in \`refreshing.ambiguous\` with an
\`interruption\` and ends; the next one begins from the record.

${transitionTable(credentialMachine.root)}
## Events

\`announce\` emits what was written together with the record: ${EVENT_TYPES.map((/** @type {string} */ type) => `\`${type}\``).join(', ')}.
`;
}

if (process.argv.includes('--check')) {
  if (readFileSync(PAGE, 'utf8') !== page()) {
    console.error(
      'docs/lifecycle.md is not what the machine says; run "npm run build" and "node scripts/lifecycle-doc.mjs"',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(PAGE, page());
}
