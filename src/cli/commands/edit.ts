import { text as readText } from 'node:stream/consumers';
import { lifecycleStateOf } from '../../lifecycle/credential.ts';
import type { CredentialChanges } from '../../verbs/update.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { findCredential } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { EXIT_CODES, exitCodeOfState } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { promptLine } from '../prompt.ts';
import { malformed, readSecret, type SecretSource } from '../secret-input.ts';
import { printCredential } from './one-credential.ts';
import { secretPartsOf } from '../secret-parts.ts';
import { configOfFlags, readConfig, type ConfigFlags } from './register.ts';

/** `credlife pause ID`: scheduled work rests. */
export function pause(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const paused = await engine.pause((await findCredential(engine, id)).id);
    await printCredential(context, options, engine, paused);
  });
}

/** `credlife resume ID`: scheduled work goes on. */
export function resume(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const resumed = await engine.resume((await findCredential(engine, id)).id);
    await printCredential(context, options, engine, resumed);
  });
}

export interface UpdateCommandOptions extends GlobalOptions, SecretSource, ConfigFlags {
  readonly name?: string;
  readonly owner?: string;
  readonly for?: string;
  readonly tag?: readonly string[];
  readonly config?: string;
  readonly askSecret?: boolean;
  readonly testEvery?: number | null;
  readonly test: boolean;
}

/**
 * `credlife update ID`: changes what the options name. Flags of settings change single ones of them, `--config` all. Exit code
 * 0 when the credential is valid then, 3 otherwise.
 */
export async function update(context: CommandContext, options: UpdateCommandOptions, id: string): Promise<void> {
  if (options.config === '-' && options.secretStdin === true) {
    throw malformed('Standard input can hold the configuration or the secret, not both.');
  }
  const hasSecret = [options.secretStdin, options.secretFile, options.secretEnv, options.askSecret].some(Boolean);
  await withEngine(context, options, async (engine) => {
    const found = await findCredential(engine, id);
    const flags = configOfFlags(options);
    const hasConfig = options.config !== undefined || Object.keys(flags).length > 0;
    const before = options.config === undefined ? await engine.settings(found.id) : {};
    const config = { ...before, ...(await readConfig(context, options.config)), ...flags };
    const secret = hasSecret
      ? (await readSecret(context, options, secretPartsOf(found.protocol, config))).unwrap()
      : undefined;
    const changes: CredentialChanges = {
      ...(options.name !== undefined && { name: options.name }),
      ...(options.owner !== undefined && { ownerId: options.owner === '' ? null : options.owner }),
      ...(options.for !== undefined && { scopeId: options.for === '' ? null : options.for }),
      ...(options.tag !== undefined && { tags: options.tag.filter((tag) => tag !== '') }),
      ...(options.testEvery !== undefined && { testEveryMs: options.testEvery }),
      ...(hasConfig && { config }),
      ...(hasSecret && { secret }),
    };
    if (Object.keys(changes).length === 0) throw malformed('Nothing to change was named; see "credlife help update".');
    const updated = await engine.update(found.id, changes, { test: options.test });
    await printCredential(context, options, engine, updated);
    context.setExitCode(exitCodeOfState(lifecycleStateOf(updated.state)));
  });
}

export interface DeleteCommandOptions extends GlobalOptions {
  readonly yes?: boolean;
}

/** `credlife delete ID`: ends it at the other side and forgets it. Asks first, unless `--yes` is given. */
export function deleteCredential(context: CommandContext, options: DeleteCommandOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const { id: credentialId, name } = await findCredential(engine, id);
    if (options.yes !== true && !(await isConfirmed(context, name))) {
      printLine(context.errors, 'Nothing was deleted.');
      context.setExitCode(EXIT_CODES.attention.code);
      return;
    }
    await engine.delete(credentialId);
    if (options.json === true) printJson(context, { id: credentialId, deleted: true });
    else printLine(context.output, `${printable(name)} is deleted.`);
  });
}

async function isConfirmed(context: CommandContext, name: string): Promise<boolean> {
  const question = `Type the name to delete "${printable(name)}" for good: `;
  if (context.input.isTTY !== true) {
    context.errors.write(question);
    const [line = ''] = (await readText(context.input)).split('\n');
    context.errors.write('\n');
    if (line.trim() === '') throw malformed('Nobody can be asked here; confirm with --yes.');
    return line.trim() === name.trim();
  }
  return (await promptLine(context, question)).trim() === name.trim();
}
