import { text as readText } from 'node:stream/consumers';
import type { CredentialEngine } from '../../engine.ts';
import { isCredentialError } from '../../errors.ts';
import { lifecycleStateOf } from '../../lifecycle/credential.ts';
import type { Authorization, Reauthorized } from '../../authorizations.ts';
import { Secret } from '../../secret.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { findCredential } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { exitCodeOfState } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { promptHidden } from '../prompt.ts';
import { malformed } from '../secret-input.ts';
import { openBrowser } from '../sign-in/browser.ts';
import { LoopbackCallback } from '../sign-in/loopback.ts';
import { printCredential, printTest } from './one-credential.ts';

export interface AuthorizeCommandOptions extends GlobalOptions {
  readonly device?: boolean;
  /** Redirect URI on another machine: the person pastes where the browser ended. */
  readonly callbackUrl?: string;
  readonly port?: number;
  readonly browser: boolean;
  readonly for?: number;
}

const SIGN_IN_MS = 600_000;

/** `credlife authorize ID`: a person signs in, and the credential has its next grant. */
export async function authorize(context: CommandContext, options: AuthorizeCommandOptions, id: string): Promise<void> {
  if (options.device === true && options.callbackUrl !== undefined)
    throw malformed('Name --device or --callback-url, not both.');
  await withEngine(context, options, async (engine) => {
    const { id: found } = await findCredential(engine, id);
    const { credential, advice } = await signIn(context, options, engine, found);
    const test = await engine.test(found);
    context.setExitCode(exitCodeOfState(lifecycleStateOf(credential.state)));
    if (options.json === true) {
      printJson(context, { id: found, state: credential.state, advice, test, credential: await engine.get(found) });
      return;
    }
    await printCredential(context, options, engine, await engine.get(found));
    printTest(context, credential.name, test);
    if (advice !== null) printLine(context.output, context.style('notice', printable(advice)));
  });
}

async function signIn(
  context: CommandContext,
  options: AuthorizeCommandOptions,
  engine: CredentialEngine,
  id: string,
): Promise<Reauthorized> {
  if (options.callbackUrl !== undefined) return byPaste(context, engine, id, options.callbackUrl);
  if (options.device === true)
    return byDevice(context, options, engine, { id, authorization: await engine.authorize(id) });
  const callback = await LoopbackCallback.listen(options.port ?? 0);
  try {
    const authorization = await engine.authorize(id, { redirectUri: callback.redirectUri });
    if (authorization.kind === 'device') return await byDevice(context, options, engine, { id, authorization });
    show(context, `Sign in here:\n\n  ${authorization.url}\n`);
    if (options.browser) openBrowser(context, authorization.url);
    const take = (callbackUrl: string) => unlessForeign(engine.reauthorize(id, { callbackUrl }));
    return await callback.awaitAnswer(take, options.for ?? SIGN_IN_MS);
  } finally {
    await callback.close();
  }
}

/** An answer that nobody waits for may come from anywhere on this machine: the right one is still awaited. */
async function unlessForeign(reauthorized: Promise<Reauthorized>): Promise<Reauthorized | null> {
  try {
    return await reauthorized;
  } catch (error) {
    if (isCredentialError(error) && error.code === 'ERR_AUTHORIZATION_UNKNOWN') return null;
    throw error;
  }
}

async function byDevice(
  context: CommandContext,
  options: AuthorizeCommandOptions,
  engine: CredentialEngine,
  { id, authorization }: { id: string; authorization: Authorization },
): Promise<Reauthorized> {
  if (authorization.kind !== 'device') throw malformed('The server sends people back to a URL; leave --device out.');
  const { authorizationId, userCode, verificationUri, verificationUriComplete } = authorization;
  show(context, `Open  ${verificationUri}\nand enter the code  ${printable(userCode)}\n`);
  if (options.browser) openBrowser(context, verificationUriComplete ?? verificationUri);
  const signal = options.for === undefined ? {} : { signal: AbortSignal.timeout(options.for) };
  const onPending = (): void => {
    context.errors.write('.');
  };
  return engine.reauthorize(id, { authorizationId }, { ...signal, onPending });
}

/** For a machine without a browser: the person signs in elsewhere and brings the address that the browser ended at. */
async function byPaste(
  context: CommandContext,
  engine: CredentialEngine,
  id: string,
  redirectUri: string,
): Promise<Reauthorized> {
  const authorization = await engine.authorize(id, { redirectUri });
  if (authorization.kind === 'device') throw malformed('This credential signs in by a code; use --device.');
  show(context, `Sign in here:\n\n  ${authorization.url}\n\nThe browser ends at an address that may show nothing.`);
  const [pasted] =
    context.input.isTTY === true
      ? await promptHidden(context, ['Paste that address'])
      : [Secret.of(await readText(context.input))];
  return engine.reauthorize(id, { callbackUrl: pasted?.unwrap().trim() ?? '' });
}

/** On standard error, so that standard output stays a document. */
function show(context: CommandContext, text: string): void {
  printLine(context.errors, text);
}
