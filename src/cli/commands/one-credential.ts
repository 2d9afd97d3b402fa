import type { CredentialSummary } from '../../client.ts';
import type { CredentialEngine } from '../../engine.ts';
import { lifecycleStateOf } from '../../lifecycle/credential.ts';
import { systemClock } from '../../ports.ts';
import type { TestResult } from '../../protocols/protocol.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { printDetails } from '../credential-details.ts';
import { findCredential } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { EXIT_CODES, exitCodeOfError, exitCodeOfState } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { stateCell } from '../state-words.ts';

/** `credlife show ID`: everything about one credential but its secrets. */
export function show(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const credential = await findCredential(engine, id);
    await printCredential(context, options, engine, credential);
    context.setExitCode(exitCodeOfState(lifecycleStateOf(credential.state)));
  });
}

/** `credlife refresh ID`: a new grant now. */
export function refresh(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const refreshed = await engine.refresh((await findCredential(engine, id)).id);
    await printCredential(context, options, engine, refreshed);
    context.setExitCode(exitCodeOf(refreshed));
  });
}

/** `credlife rotate ID`: another secret, in use from now on. */
export function rotate(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    await printRotated(context, options, engine, await engine.rotate((await findCredential(engine, id)).id));
  });
}

/** `credlife rollback ID`: the secret before, in use again. */
export function rollback(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    await printRotated(context, options, engine, await engine.rollback((await findCredential(engine, id)).id));
  });
}

async function printRotated(
  context: CommandContext,
  options: GlobalOptions,
  engine: CredentialEngine,
  rotated: CredentialSummary,
): Promise<void> {
  await printCredential(context, options, engine, rotated);
  const { failure } = rotated.rotation;
  context.setExitCode(failure === null ? exitCodeOf(rotated) : exitCodeOfError(failure.code));
}

/** Of what failed, where something did; otherwise of the state. */
function exitCodeOf({ state, failure }: CredentialSummary): number {
  return failure === null ? exitCodeOfState(lifecycleStateOf(state)) : exitCodeOfError(failure.code);
}

/** `credlife revoke ID`: ends the credential, here and at the other side where that is possible. */
export function revoke(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const revoked = await engine.revoke((await findCredential(engine, id)).id);
    await printCredential(context, options, engine, revoked);
    if (revoked.failure) context.setExitCode(exitCodeOfError(revoked.failure.code));
  });
}

/** `credlife test ID`: asks the other side whether the credential is good. */
export function test(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const credential = await findCredential(engine, id);
    const result = await engine.test(credential.id);
    context.setExitCode(result.success ? EXIT_CODES.ok.code : EXIT_CODES.attention.code);
    if (options.json === true) printJson(context, { id: credential.id, ...result });
    else printTest(context, credential.name, result);
  });
}

export interface UseCommandOptions extends GlobalOptions {
  readonly printMaterial?: boolean;
}

/** `credlife use ID`: makes sure that the credential is usable. Its headers are printed on explicit demand only. */
export function use(context: CommandContext, options: UseCommandOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const found = await findCredential(engine, id);
    const { headers, expiresAt, generation } = await engine.use(found.id, { usedBy: { kind: 'command', id: 'use' } });
    const { name, state } = await engine.get(found.id);
    const material = options.printMaterial === true ? { headers } : {};
    if (options.json === true) {
      printJson(context, { id: found.id, state, expiresAt, generation, ...material });
      return;
    }
    const { text, tone } = stateCell(state);
    const expiry = expiresAt === null ? 'no known expiry' : `expires at ${expiresAt.toISOString()}`;
    printLine(context.output, `${printable(name)}: ${context.style(tone, text)}, ${expiry}, generation ${generation}`);
    for (const [header, value] of Object.entries(material.headers ?? {}))
      printLine(context.output, `${header}: ${value}`);
  });
}

/** Prints a credential as a person or a program wants it. */
export async function printCredential(
  context: CommandContext,
  options: GlobalOptions,
  engine: CredentialEngine,
  credential: CredentialSummary,
): Promise<void> {
  const lastEvent = await engine.lastEvent(credential.id);
  if (options.json === true) printJson(context, { ...credential, lastEvent });
  else printDetails(context, credential, lastEvent, systemClock.now(), await engine.lastTest(credential.id));
}

/** Prints the result of a test in two lines. */
export function printTest(context: CommandContext, name: string, { success, message, details }: TestResult): void {
  const verdict = success ? context.style('good', 'passed') : context.style('bad', 'failed');
  printLine(context.output, `${printable(name)}: test ${verdict}. ${printable(message)}`);
  printLine(
    context.output,
    context.style('quiet', `${printable(details.endpoint)}, ${Math.round(details.latencyMs)} ms`),
  );
}
