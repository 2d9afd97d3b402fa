import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { isPlainObject } from '../json.ts';
import { CommanderError } from 'commander';
import { printLine, type CommandContext } from './context.ts';
import { refuseSecretsInArguments } from './argument-guard.ts';
import { failureJson, failureLine, failureOf, framesOf, Interrupted } from './failure.ts';
import { createProgram } from './program.ts';
import { styleFor } from './style.ts';

const INTERRUPTED_EXIT_CODE = 130;

/**
 * Runs the command with these arguments (without node and file) and sets the exit code of the process. Never rejects:
 * every failure becomes one line on standard error.
 */
export async function main(argv: string[]): Promise<void> {
  const { env, stdin: input, stdout: output, stderr: errors } = process;
  const setExitCode = (code: number): void => {
    process.exitCode = code;
  };
  output.on('error', onOutputError);
  const style = styleFor(output.isTTY, env);
  await runCommand({ env, cwd: process.cwd(), input, output, errors, style, setExitCode }, argv);
}

/** The command on any streams. */
export async function runCommand(context: CommandContext, argv: readonly string[]): Promise<void> {
  try {
    refuseSecretsInArguments(argv);
    const program = createProgram(context, version());
    await program.parseAsync(folderOfN8n(argv), { from: 'user' });
  } catch (error) {
    report(context, argv, error);
  }
}

/** `--n8n` takes the next argument as its folder only when that looks like a path: `credlife --n8n list` names none. */
function folderOfN8n(argv: readonly string[]): string[] {
  return argv.map((argument, at) => {
    const next = argv[at + 1];
    const namesFolder = next !== undefined && (/[\\/]/.test(next) || /^\.{1,2}$/.test(next));
    return argument === '--n8n' && !namesFolder ? '--n8n=' : argument;
  });
}

function report(context: CommandContext, argv: readonly string[], error: unknown): void {
  // Help and version are "errors" of the grammar with exit code 0: they have been printed.
  if (error instanceof CommanderError && error.exitCode === 0) return;
  if (error instanceof Interrupted) {
    context.setExitCode(INTERRUPTED_EXIT_CODE);
    return;
  }
  const failure = failureOf(error);
  context.setExitCode(failure.exitCode);
  printLine(context.errors, argv.includes('--json') ? failureJson(failure) : failureLine(failure));
  if (argv.includes('--debug')) printLine(context.errors, framesOf(error));
}

/** A reader that has gone, as in `credlife list | head`, is no failure. */
function onOutputError(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') return;
  throw error;
}

function version(): string {
  const path = findPackageJSON('..', __filename);
  const parsed: unknown = path === undefined ? null : JSON.parse(readFileSync(path, 'utf8'));
  const text = isPlainObject(parsed) ? parsed['version'] : undefined;
  return typeof text === 'string' ? text : 'unknown';
}
