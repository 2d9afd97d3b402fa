import { PassThrough } from 'node:stream';
import type { CommandContext } from '../../src/cli/context.ts';
import { runCommand } from '../../src/cli/main.ts';
import { plainStyle } from '../../src/cli/style.ts';

export interface Captured {
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
}

export interface CapturedContext extends CommandContext {
  readonly input: PassThrough & { isTTY?: boolean };
  captured(): Captured;
}

/** A command context on streams in memory. */
export function capturedContext(
  options: { env?: Record<string, string>; cwd?: string; terminal?: boolean } = {},
): CapturedContext {
  const { env = {}, cwd = '/nowhere', terminal = false } = options;
  const output = new PassThrough();
  const errors = new PassThrough();
  let exitCode = 0;
  return {
    env,
    cwd,
    input: Object.assign(new PassThrough(), { isTTY: terminal }),
    output,
    errors,
    style: plainStyle,
    setExitCode: (code) => {
      exitCode = code;
    },
    captured: () => ({ exitCode, output: textOf(output), errors: textOf(errors) }),
  };
}

/** Runs the command in this process. */
export async function runCaptured(
  argv: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; input?: string } = {},
): Promise<Captured> {
  const context = capturedContext(options);
  context.input.end(options.input ?? '');
  await runCommand(context, argv);
  return context.captured();
}

function textOf(stream: PassThrough): string {
  const chunk: unknown = stream.read();
  return chunk instanceof Buffer ? chunk.toString() : '';
}
