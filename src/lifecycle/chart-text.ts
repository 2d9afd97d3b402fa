import { childrenOf, initialOf, listTransitions, pathOf, type ChartNode, type ChartTransition } from './chart.ts';

/** A line of the chart, and the states inside of its end that it is about. */
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly event: string;
  readonly inside: string;
}

/**
 * The machine as a Mermaid state chart. Mermaid draws no line between the insides of two states, so such a line goes from
 * border to border and its label says where it ends.
 */
export function mermaidChart(root: ChartNode): string {
  const arrows = listTransitions(root).flatMap((transition) => arrowsOf(root, transition));
  const regions = childrenOf(root).map((region) => drawInside(region, arrows, '    '));
  const body = regions.flatMap((lines, at) => (at === 0 ? lines : ['    --', ...lines]));
  return ['stateDiagram-v2', `  state ${root.key} {`, ...body, '  }', ''].join('\n');
}

/** The machine as a Markdown table: state × event → state, actions. */
export function transitionTable(root: ChartNode): string {
  const rows = listTransitions(root).map(({ from, event, when, to, actions }) => [
    shortPath(from),
    event,
    when ?? 'always',
    shortPath(to),
    actions.join(', ') || '–',
  ]);
  return markdownTable(['state', 'event', 'when', 'next state', 'actions'], rows);
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

/** The states of a life go by their public names: `valid.fresh`. */
function shortPath(path: string): string {
  return path.replace(/^lifecycle\./, '');
}

function idOf(path: string): string {
  return shortPath(path).replaceAll('.', '_');
}

/** The lines inside of a state: its children, and the arrows between them. */
function drawInside(node: ChartNode, arrows: readonly Arrow[], indent: string): string[] {
  const children = childrenOf(node);
  const start = children.find(({ key }) => key === initialOf(node));
  return [
    ...(start ? [`${indent}[*] --> ${idOf(pathOf(start))}`] : []),
    ...children.flatMap((child) => drawState(child, arrows, indent)),
    ...children.flatMap((child) =>
      drawArrows(
        arrows.filter(({ from }) => from === pathOf(child)),
        indent,
      ),
    ),
  ];
}

function drawState(node: ChartNode, arrows: readonly Arrow[], indent: string): string[] {
  const name = `${indent}state "${node.key}" as ${idOf(pathOf(node))}`;
  if (childrenOf(node).length === 0) return [name];
  return [`${name} {`, ...drawInside(node, arrows, `${indent}  `), `${indent}}`];
}

/** One line for each pair of states; its label gathers what leads there. */
function drawArrows(arrows: readonly Arrow[], indent: string): string[] {
  const byEnd = Map.groupBy(arrows, ({ from, to }) => `${idOf(from)} --> ${idOf(to)}`);
  return [...byEnd].map(([line, group]) => `${indent}${line} : ${labelOf(group)}`);
}

function labelOf(arrows: readonly Arrow[]): string {
  const insides = Map.groupBy(arrows, ({ event }) => event);
  const ends = [...insides].map(([event, group]) => ({ event, end: [...new Set(group.map(({ inside }) => inside))] }));
  const byEnd = Map.groupBy(ends, ({ end }) => end.filter((inside) => inside !== '').join(', '));
  return [...byEnd]
    .map(([end, group]) => `${group.map(({ event }) => event).join(' / ')}${end === '' ? '' : ` (${end})`}`)
    .join(', ');
}

/** A transition of a state into its own inside leads there from every other child: nothing leads from a border inwards. */
function arrowsOf(root: ChartNode, { from, to, event }: ChartTransition): Arrow[] {
  const source = from.split('.');
  const target = leafOf(root, to.split('.'));
  const forks = target.findIndex((key, at) => key !== source[at]);
  const at = forks === -1 ? target.length - 1 : forks;
  const end = target.slice(0, at + 1).join('.');
  const inside = target.slice(at + 1).join('.');
  const starts = at < source.length ? [source.slice(0, at + 1).join('.')] : siblingsOf(root, from, end);
  return starts.map((start) => ({ from: start, to: end, event, inside }));
}

function siblingsOf(root: ChartNode, parent: string, path: string): string[] {
  return childrenOf(nodeAt(root, parent.split('.')))
    .map(pathOf)
    .filter((sibling) => sibling !== path);
}

/** Keys of the state that entering this one ends in. */
function leafOf(root: ChartNode, keys: readonly string[]): readonly string[] {
  const initial = initialOf(nodeAt(root, keys));
  return initial === '' ? keys : leafOf(root, [...keys, initial]);
}

function nodeAt(root: ChartNode, keys: readonly string[]): ChartNode {
  return keys.reduce((node, key) => node.states[key] ?? node, root);
}
