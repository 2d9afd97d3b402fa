import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const BIN = join(__dirname, '../../bin/credlife.cjs');

export interface Finished {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Leaves standard input open, for what is typed later. */
  readonly keepInput?: boolean;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
}

/** Starts the built command as a person would, with nothing in its environment but what the test gives. */
export function startCommand(
  argv: readonly string[],
  { cwd, env = {}, input = '', keepInput = false }: RunOptions,
): Running {
  const child = spawn(process.execPath, [BIN, ...argv], { cwd, env: { HOME: cwd, ...env }, stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  if (!keepInput) child.stdin.end(input);
  const finished = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]).then(
    ([output, errors]): Finished => ({ exitCode: child.exitCode, output, errors }),
  );
  return { child, finished };
}

export function runCommand(argv: readonly string[], options: RunOptions): Promise<Finished> {
  return startCommand(argv, options).finished;
}

/** The JSON document of a run, with a way to read its members. */
export function documentOf({ output }: Pick<Finished, 'output'>): Record<string, unknown> {
  const parsed: unknown = JSON.parse(output);
  if (typeof parsed !== 'object' || parsed === null) throw new TypeError('not a JSON object');
  return { ...parsed };
}
