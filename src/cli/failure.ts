import { CommanderError } from 'commander';
import { ERROR_CATALOGUE, isCredentialError, toCredentialError, type ErrorCode } from '../errors.ts';
import { EXIT_CODES, exitCodeOfError } from './exit-codes.ts';
import { printable } from './printable.ts';

/** A failure as it is shown: one sentence, a code, what to do. */
export interface Failure {
  readonly message: string;
  readonly code: string;
  readonly action: string;
  readonly exitCode: number;
  readonly credentialId: string | undefined;
}

/** Raised by a person's Ctrl-C at a prompt. */
export class Interrupted extends Error {}

export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usageFailure(error);
  const { message, code, action, credentialId } = toCredentialError(error);
  return { message, code, action, exitCode: exitCodeOfError(code), credentialId };
}

function usageFailure(error: CommanderError): Failure {
  const code = 'ERR_USAGE';
  return {
    message: sentence(error),
    code,
    action: actionOf(code),
    exitCode: EXIT_CODES.usage.code,
    credentialId: undefined,
  };
}

/** Commander's words without its prefix, its hints, and any value that might be a secret in the wrong place. */
function sentence({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'A command is missing.';
  const [first = ''] = message.replace(/^error: /, '').split('\n');
  const text = first
    .replace(/(--[\w-]+)=[^']*'/g, "$1'")
    .replace(/ but got \d+: .*$/, ' but got more')
    .replace(/\.$/, '');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** The line for people. */
export function failureLine(failure: Failure): string {
  return printable(`credlife: ${failure.message} [${failure.code}] ${failure.action}`);
}

/** The document for programs. */
export function failureJson({ message, code, action, exitCode, credentialId }: Failure): string {
  return JSON.stringify({
    error: { code, message, action, exitCode, ...(credentialId !== undefined && { credentialId }) },
  });
}

/** Where an error came from, for `--debug`: frames only, since a library's message may quote what it was given. */
export function framesOf(error: unknown): string {
  const frames = error instanceof Error ? (error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []) : [];
  const cause =
    isCredentialError(error) && error.cause !== undefined ? [`  cause: ${JSON.stringify(error.cause)}`] : [];
  return [...frames, ...cause].join('\n');
}

export function actionOf(code: ErrorCode): string {
  return ERROR_CATALOGUE[code].action;
}
