import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { createMachine } from 'xstate';
import { chartConfig, listTransitions, type ChartNode } from '../../src/lifecycle/chart.ts';
import { mermaidChart, transitionTable } from '../../src/lifecycle/chart-text.ts';
import { REASONS, STATE_PATHS } from '../../src/lifecycle/credential.ts';
import { credentialMachine } from '../../src/lifecycle/machine.ts';
import { STATE_MEANINGS } from '../../src/lifecycle/meanings.ts';
import { runCaptured } from '../cli/captured-context.ts';

const { root } = credentialMachine;

it('is what docs/lifecycle.md says', () => {
  const script = resolve(__dirname, '../../scripts/lifecycle-doc.mjs');
  execFileSync(process.execPath, [script, '--check'], { stdio: ['ignore', 'pipe', 'pipe'] });
});

it('has a row for every state and event that the machine hears', () => {
  const rows = listTransitions(root);
  expect(rows).toContainEqual({
    from: 'lifecycle.refreshing.sent',
    event: 'sendRefresh done',
    when: 'the record is valid.degraded',
    to: 'lifecycle.valid.degraded',
    actions: ['recordSettlement', 'announce'],
  });
  const heard = new Set(rows.map(({ event }) => event));
  expect(
    credentialMachine.events.filter((event) => !event.startsWith('xstate.')).every((event) => heard.has(event)),
  ).toBe(true);
});

it('says of every transition that has a condition what it is', () => {
  const alternatives = Map.groupBy(listTransitions(root), ({ from, event }) => `${from} ${event}`);
  for (const rows of alternatives.values()) {
    if (rows.length > 1) expect(rows.filter(({ when }) => when === null)).toEqual([]);
  }
});

it('is read back by createMachine as the same chart', () => {
  const config = JSON.parse(JSON.stringify(chartConfig(root))) as Parameters<typeof createMachine>[0];
  const again: ChartNode = createMachine(config).root;
  expect(listTransitions(again)).toEqual(listTransitions(root));
  expect(chartConfig(again)).toEqual(chartConfig(root));
});

describe('the Mermaid chart', () => {
  const lines = mermaidChart(root).trimEnd().split('\n');
  const declared = lines.flatMap((line) => /^ *state (?:"\w+" as )?(\w+)/.exec(line)?.[1] ?? []);
  const arrows = lines.flatMap((line) => {
    const [, from = '', to = '', label = ''] = /^ *(\w+) --> (\w+) : (.*)$/.exec(line) ?? [];
    return from === '' ? [] : [{ from, to, label }];
  });

  it('declares each of its states once and closes what it opens', () => {
    expect(new Set(declared).size).toBe(declared.length);
    expect(lines.filter((line) => line.endsWith('{'))).toHaveLength(lines.filter((line) => line.trim() === '}').length);
    for (const path of STATE_PATHS) expect(declared).toContain(path.replace('.', '_'));
  });

  it('leads from and to states that it declares, never from the inside of one to the inside of another', () => {
    expect(arrows.length).toBeGreaterThan(20);
    for (const { from, to } of arrows) {
      expect(declared).toEqual(expect.arrayContaining([from, to]));
      expect(parentOf(from)).toBe(parentOf(to));
    }
  });

  it('has no label that Mermaid would end early', () => {
    expect(arrows.filter(({ label }) => /[:;{}]/.test(label))).toEqual([]);
  });

  function parentOf(id: string): string {
    return declared
      .filter((other) => id.startsWith(`${other}_`))
      .reduce((longest, other) => (other.length > longest.length ? other : longest), '');
  }
});

it('gives every reason to a state', () => {
  const given = new Set(Object.values(STATE_MEANINGS).flatMap(({ reasons }) => reasons));
  expect([...given].sort()).toEqual([...REASONS].sort());
});

describe('credlife machine', () => {
  it.each<[string, readonly string[], string]>([
    ['Mermaid unless asked otherwise', [], mermaidChart(root)],
    ['the table', ['--format', 'table'], transitionTable(root)],
    ['the configuration', ['--format', 'json'], `${JSON.stringify(chartConfig(root), null, 2)}\n`],
    ['one JSON document for programs', ['--json'], `${JSON.stringify(chartConfig(root), null, 2)}\n`],
  ])('prints %s', async (_sentence, argv, output) => {
    expect(await runCaptured(['machine', ...argv])).toEqual({ exitCode: 0, output, errors: '' });
  });
});
