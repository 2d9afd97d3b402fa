import { chartConfig } from '../../lifecycle/chart.ts';
import { mermaidChart, transitionTable } from '../../lifecycle/chart-text.ts';
import { credentialMachine } from '../../lifecycle/machine.ts';
import { printJson, type CommandContext, type GlobalOptions } from '../context.ts';

export const MACHINE_FORMATS = ['mermaid', 'table', 'json'] as const;

export interface MachineCommandOptions extends GlobalOptions {
  readonly format: (typeof MACHINE_FORMATS)[number];
}

/** `credlife machine`: the state machine itself, without any credential. */
export function machine(context: CommandContext, { format, json }: MachineCommandOptions): void {
  const { root } = credentialMachine;
  if (json === true || format === 'json') printJson(context, chartConfig(root));
  else context.output.write(format === 'table' ? transitionTable(root) : mermaidChart(root));
}
