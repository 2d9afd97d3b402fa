import { resolve } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { isPlainObject } from '../../json.ts';
import { Secret } from '../../secret.ts';
import { lifecycleStateOf } from '../../lifecycle/credential.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { withEngine } from '../database-location.ts';
import { exitCodeOfState } from '../exit-codes.ts';
import { malformed, readFileText, readSecret, type SecretSource } from '../secret-input.ts';
import { secretPartsOf } from '../secret-parts.ts';
import { printCredential, printTest } from './one-credential.ts';

/** Options that are settings of the credential. */
export interface ConfigFlags {
  readonly issuer?: string;
  readonly tokenEndpoint?: string;
  readonly clientId?: string;
  readonly grantType?: string;
  readonly clientAuthentication?: string;
  readonly scope?: string;
  readonly testUrl?: string;
  readonly allowInsecureTransport?: boolean;
}

export interface RegisterCommandOptions extends GlobalOptions, SecretSource, ConfigFlags {
  readonly name: string;
  readonly protocol: string;
  readonly config?: string;
  readonly testEvery?: number | null;
  readonly owner?: string;
  readonly tag?: readonly string[];
  readonly test: boolean;
}

function namesSource({ secretStdin, secretFile, secretEnv }: SecretSource): boolean {
  return secretStdin === true || secretFile !== undefined || secretEnv !== undefined;
}

/** `credlife register`: stores a credential and tests it. Exit code 0 when it is valid, 3 when it is pending. */
export async function register(context: CommandContext, options: RegisterCommandOptions): Promise<void> {
  if (options.config === '-' && options.secretStdin === true) {
    throw malformed('Standard input can hold the configuration or the secret, not both.');
  }
  const usual = options.protocol === 'oauth2' ? { grantType: 'client_credentials' } : {};
  const config = { ...usual, ...(await readConfig(context, options.config)), ...configOfFlags(options) };
  const parts = secretPartsOf(options.protocol, config);
  await withEngine(context, options, async (engine) => {
    const isPublic = parts.length === 0 && !namesSource(options);
    const secret = isPublic ? Secret.of({}) : await readSecret(context, options, parts);
    const { state, test, credential } = await engine.register({
      protocol: options.protocol,
      name: options.name,
      ...(options.owner !== undefined && { ownerId: options.owner }),
      ...(options.tag !== undefined && { tags: options.tag }),
      config,
      secret: secret.unwrap(),
      test: options.test,
      ...(options.testEvery != null && { testEveryMs: options.testEvery }),
    });
    context.setExitCode(exitCodeOfState(lifecycleStateOf(state)));
    if (options.json === true) {
      printJson(context, { id: credential.id, state, test, credential });
      return;
    }
    await printCredential(context, options, engine, credential);
    if (state === 'pending.authorizing') {
      printLine(context.output, `Sign in with: credlife authorize ${credential.id}`);
      return;
    }
    if (test) printTest(context, options.name, test);
  });
}

export async function readConfig(
  context: CommandContext,
  source: string | undefined,
): Promise<Record<string, unknown>> {
  if (source === undefined) return {};
  const text = source === '-' ? await readText(context.input) : readFileText(resolve(context.cwd, source));
  const config = parseJson(text);
  if (isPlainObject(config)) return config;
  throw malformed(`The configuration in ${source === '-' ? 'standard input' : source} is not a JSON object.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function configOfFlags(options: ConfigFlags): Record<string, unknown> {
  const { issuer, tokenEndpoint, clientId, grantType, clientAuthentication, scope, testUrl } = options;
  const { allowInsecureTransport } = options;
  const server = { issuer, tokenEndpoint, testUrl, allowInsecureTransport };
  const flags = { ...server, clientId, grantType, clientAuthentication, scope };
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}
