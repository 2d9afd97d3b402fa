/** A node of a machine's tree, as far as a chart needs it: `credentialMachine.root` is one. */
export interface ChartNode {
  readonly id: string;
  readonly key: string;
  readonly path: readonly string[];
  readonly type: string;
  readonly tags: readonly string[];
  readonly initial: { readonly target: readonly { readonly key: string }[] | undefined };
  readonly states: Readonly<Record<string, ChartNode>>;
  readonly invoke: readonly { readonly id: string; readonly src: unknown }[];
  readonly transitions: ReadonlyMap<string, readonly ChartEdge[]>;
}
export interface ChartEdge {
  readonly eventType: string;
  readonly source: ChartNode;
  readonly target: readonly ChartNode[] | undefined;
  /** A name, or an object whose `type` is one. */
  readonly guard?: unknown;
  readonly actions: readonly unknown[];
  readonly description?: string | undefined;
  readonly reenter?: boolean;
}

/** One row of the table "state × event → state, actions". Paths are below the machine: `lifecycle.valid.fresh`. */
export interface ChartTransition {
  readonly from: string;
  /** A command, a fact, or `<actor> done` and `<actor> failed` for the end of an effect. */
  readonly event: string;
  /** When it is taken; the first one that fits is. `null`: always. */
  readonly when: string | null;
  readonly to: string;
  readonly actions: readonly string[];
}

/** A state as configuration: `createMachine` reads it back, and so do drawing tools. */
export interface ChartConfig {
  readonly id?: string;
  readonly type?: 'parallel';
  readonly initial?: string;
  readonly tags?: readonly string[];
  readonly invoke?: readonly InvokeConfig[];
  readonly on?: Readonly<Record<string, readonly EdgeConfig[]>>;
  readonly states?: Readonly<Record<string, ChartConfig>>;
}
export interface InvokeConfig {
  readonly src: string;
  readonly onDone: readonly EdgeConfig[];
  readonly onError: readonly EdgeConfig[];
}
export interface EdgeConfig {
  readonly target: string;
  readonly guard?: string;
  readonly actions?: readonly string[];
  readonly description?: string;
  readonly reenter?: true;
}

/** Every transition, in the order in which the machine tries them. */
export function listTransitions(node: ChartNode): ChartTransition[] {
  const own = [...node.transitions.values()].flat().map((edge) => ({
    from: pathOf(node),
    event: eventName(node, edge.eventType),
    when: edge.description ?? null,
    to: pathOf(targetOf(edge)),
    actions: edge.actions.map(nameOf),
  }));
  return [...own, ...childrenOf(node).flatMap(listTransitions)];
}

/** The whole machine as configuration, without what it runs: guards, actions and actors are names. */
export function chartConfig(node: ChartNode): ChartConfig {
  const states = Object.entries(node.states).map(([key, child]) => [key, chartConfig(child)] as const);
  const on = [...node.transitions].filter(([event]) => !isEndOfEffect(event));
  return {
    ...(node.path.length === 0 && { id: node.id }),
    ...(node.type === 'parallel' && { type: node.type }),
    ...(node.type === 'compound' && { initial: initialOf(node) }),
    ...(node.tags.length > 0 && { tags: node.tags }),
    ...(node.invoke.length > 0 && { invoke: node.invoke.map((invoke) => invokeConfig(node, invoke)) }),
    ...(on.length > 0 && { on: Object.fromEntries(on.map(([event, edges]) => [event, edges.map(edgeConfig)])) }),
    ...(states.length > 0 && { states: Object.fromEntries(states) }),
  };
}

function invokeConfig(node: ChartNode, { id, src }: ChartNode['invoke'][number]): InvokeConfig {
  const ends = (kind: string): EdgeConfig[] =>
    (node.transitions.get(`xstate.${kind}.actor.${id}`) ?? []).map(edgeConfig);
  return { src: nameOf(src), onDone: ends('done'), onError: ends('error') };
}

function edgeConfig(edge: ChartEdge): EdgeConfig {
  const { guard, actions, description, reenter } = edge;
  return {
    target: `#${targetOf(edge).id}`,
    ...(guard !== undefined && { guard: nameOf(guard) }),
    ...(actions.length > 0 && { actions: actions.map(nameOf) }),
    ...(description !== undefined && { description }),
    ...(reenter === true && { reenter }),
  };
}

/** The path below the machine; empty for the machine itself. */
export function pathOf(node: ChartNode): string {
  return node.path.join('.');
}

export function childrenOf(node: ChartNode): ChartNode[] {
  return Object.values(node.states);
}

/** Key of the child that a compound state begins in; empty for others. */
export function initialOf(node: ChartNode): string {
  return node.type === 'compound' ? (node.initial.target?.[0]?.key ?? '') : '';
}

function isEndOfEffect(event: string): boolean {
  return event.startsWith('xstate.');
}

function eventName(node: ChartNode, event: string): string {
  const ended = node.invoke.find(({ id }) => isEndOfEffect(event) && event.endsWith(`.${id}`));
  if (!ended) return event;
  return `${nameOf(ended.src)} ${event.startsWith('xstate.done.') ? 'done' : 'failed'}`;
}

function targetOf({ target, source }: ChartEdge): ChartNode {
  return target?.[0] ?? source;
}

/** Guards and actions are strings, or objects that name what the machine's setup holds. */
function nameOf(reference: unknown): string {
  if (typeof reference === 'string') return reference;
  return reference instanceof Object && 'type' in reference ? String(reference.type) : 'inline';
}
