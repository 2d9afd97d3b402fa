import { ACCESS_SCOPES, type AccessScope } from '../../client.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { findCredential } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { malformed } from '../secret-input.ts';

export interface GrantCommandOptions extends GlobalOptions {
  readonly scopes: string;
  readonly engine?: boolean;
}

/** `credlife grant`: issues an access key for one credential or for the whole engine, and shows it this once. */
export async function grant(
  context: CommandContext,
  options: GrantCommandOptions,
  id: string | undefined,
): Promise<void> {
  if ((id === undefined) !== (options.engine === true))
    throw malformed('Name one credential, or use --engine for all.');
  const scopes = parseScopes(options.scopes);
  await withEngine(context, options, async (engine) => {
    const credentialId = id === undefined ? null : (await findCredential(engine, id)).id;
    const { accessKey } = await engine.grant(credentialId, { scopes });
    if (options.json === true) {
      printJson(context, { credentialId, scopes, accessKey });
      return;
    }
    printLine(
      context.errors,
      `Access key for ${credentialId ?? 'every credential'} (${scopes.join(', ')}); shown this once:`,
    );
    printLine(context.output, accessKey);
  });
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function parseScopes(text: string): AccessScope[] {
  const names = text.split(',').map((name) => name.trim());
  const scopes = ACCESS_SCOPES.filter((scope) => names.includes(scope));
  if (scopes.length === new Set(names).size) return scopes;
  throw malformed(`The option --scopes takes some of: ${ACCESS_SCOPES.join(', ')}.`);
}
