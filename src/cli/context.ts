import type { Readable, Writable } from 'node:stream';
import type { Style } from './style.ts';

/** Where a command reads from and writes to. */
export interface Input extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(mode: boolean): unknown;
}
export interface Output extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** What every command works with. */
export interface CommandContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly input: Input;
  readonly output: Output;
  readonly errors: Output;
  readonly style: Style;
  /** The command sets it; the process ends with it. */
  setExitCode(code: number): void;
}

/** Options that go with every command. */
export interface GlobalOptions {
  readonly database?: string;
  readonly json?: boolean;
  /** Empty for the folder that n8n itself would use. */
  readonly n8n?: string;
  readonly debug?: boolean;
}

export function printLine(output: Output, line = ''): void {
  output.write(`${line}\n`);
}

/** One JSON document on standard output. */
export function printJson(context: CommandContext, value: unknown): void {
  printLine(context.output, JSON.stringify(value, null, 2));
}

/** Width of the terminal; wide when there is none, so that nothing is cut in a pipe. */
export function widthOf(output: Output): number {
  return output.isTTY === true ? (output.columns ?? 80) : 1_000;
}
