import type { CredentialEngine } from '../../engine.ts';
import { readMasterKeyFile, readPassphraseFile } from '../../settings.ts';
import type { DataKeyStatus, MasterKey } from '../../vault/key-ring.ts';
import type { KeyWorkOptions } from '../../vault/key-work.ts';
import type { KeyRingStatus } from '../../vault/keys.ts';
import type { ReEncryption } from '../../vault/re-encrypt.ts';
import type { Verification } from '../../vault/verify.ts';
import { layOut, type Cell } from '../columns.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { absolutePath, withEngine } from '../database-location.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { progressBar } from '../progress-bar.ts';
import { promptHidden } from '../prompt.ts';
import { malformed } from '../secret-input.ts';

/** `credlife key status`: the data keys, their ages and how often each was used. */
export function keyStatus(context: CommandContext, options: GlobalOptions): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const status = await engine.keys.status();
    if (options.json === true) printJson(context, status);
    else printStatus(context, status);
  });
}

/** `credlife key rotate`: a new data key, at once. */
export function keyRotate(context: CommandContext, options: GlobalOptions): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const { keyId } = await engine.keys.rotate();
    if (options.json === true) {
      printJson(context, { keyId });
      return;
    }
    printLine(context.output, `The active data key is ${keyId}. What was sealed before stays readable.`);
    printLine(context.output, 'Next: credlife key re-encrypt');
  });
}

/** `credlife key re-encrypt`: all values onto the active key, beside whatever else runs. */
export function keyReEncrypt(context: CommandContext, options: GlobalOptions): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const result = await withBar(context, options, (work) => engine.keys.reEncrypt(work));
    if (options.json === true) printJson(context, result);
    else printReEncryption(context, result);
    if (result.left.length === 0) return;
    const unreadable = result.left.some(({ reason }) => reason === 'unreadable');
    context.setExitCode(unreadable ? EXIT_CODES.store.code : EXIT_CODES.attention.code);
  });
}

/** `credlife key verify`: opens every value and holds all records against the seal of the store. */
export function keyVerify(context: CommandContext, options: GlobalOptions): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const result = await withBar(context, options, (work) => engine.keys.verify(work));
    if (options.json === true) printJson(context, result);
    else printVerification(context, result);
    if (result.unreadable.length > 0 || result.seal === 'rolledBack') context.setExitCode(EXIT_CODES.store.code);
  });
}

export interface ChangePassphraseOptions extends GlobalOptions {
  readonly newPassphraseFile?: string;
  readonly newMasterKeyFile?: string;
}

/** `credlife key change-passphrase`: wraps the data keys under another passphrase or master key. */
export async function keyChangePassphrase(context: CommandContext, options: ChangePassphraseOptions): Promise<void> {
  // Read before anything is opened: what is malformed changes nothing.
  const { masterKey, setting } = await newMasterKey(context, options);
  await withEngine(context, options, async (engine: CredentialEngine) => {
    await engine.keys.changeMasterKey(masterKey);
    if (options.json === true) {
      printJson(context, { changed: true });
      return;
    }
    printLine(context.output, 'The database opens with the new key only, from now on. No sealed value was touched.');
    printLine(context.output, `Next: ${setting}; restart what runs on this database before you rotate its data key.`);
  });
}

async function newMasterKey(
  context: CommandContext,
  { newPassphraseFile, newMasterKeyFile }: ChangePassphraseOptions,
): Promise<{ masterKey: MasterKey; setting: string }> {
  if (newPassphraseFile !== undefined) {
    const path = absolutePath(context, newPassphraseFile);
    return { masterKey: readPassphraseFile(path), setting: `set CREDLIFE_PASSPHRASE_FILE=${path}` };
  }
  if (newMasterKeyFile !== undefined) {
    const path = absolutePath(context, newMasterKeyFile);
    return { masterKey: readMasterKeyFile(path), setting: `set CREDLIFE_MASTER_KEY_FILE=${path}` };
  }
  if (context.input.isTTY !== true) {
    throw malformed('No new key was given: use --new-passphrase-file or --new-master-key-file, or a terminal.');
  }
  const [first, again] = await promptHidden(context, ['New passphrase', 'New passphrase, again']);
  const passphrase = first?.unwrap() ?? '';
  if (passphrase.trim() === '') throw malformed('The new passphrase is empty.');
  if (passphrase !== again?.unwrap()) throw malformed('The two passphrases are not the same.');
  return {
    masterKey: { passphrase },
    setting: 'write it to a file of mode 0600 and set CREDLIFE_PASSPHRASE_FILE to that',
  };
}

/** Runs work over all records with a bar. */
async function withBar<Result>(
  context: CommandContext,
  options: GlobalOptions,
  work: (options: KeyWorkOptions) => Promise<Result>,
): Promise<Result> {
  const bar = progressBar(context, 'credentials');
  try {
    return await work(
      options.json === true
        ? {}
        : {
            onProgress: (progress) => {
              bar.show(progress);
            },
          },
    );
  } finally {
    bar.end();
  }
}

function printStatus(context: CommandContext, status: KeyRingStatus): void {
  const { output, style } = context;
  const columns = [
    { title: 'DATA KEY' },
    { title: 'STATE' },
    { title: 'CREATED' },
    { title: 'RETIRED' },
    { title: 'SEALED AT MOST', shortTitle: 'SEALED' },
  ];
  for (const line of layOut(columns, status.keys.map(keyCells), widthOf(output), style)) printLine(output, line);
  const masterKey = status.masterKey === 'passphrase' ? 'a passphrase (Argon2id)' : '32 bytes';
  printLine(
    output,
    style('quiet', `master key: ${masterKey}; the active key is replaced at ${status.rotationDueAt.toISOString()}`),
  );
  if (status.sealSequence === null)
    printLine(output, style('bad', 'The seal of the store was altered: run credlife key verify.'));
}

function keyCells({ keyId, state, createdAt, retiredAt, encryptions }: DataKeyStatus): Cell[] {
  const day = (instant: Date): Cell => ({ text: instant.toISOString(), short: instant.toISOString().slice(0, 10) });
  return [
    { text: keyId, short: keyId.slice(0, 12), tone: state === 'active' ? 'strong' : 'plain' },
    { text: state, tone: state === 'active' ? 'good' : 'quiet' },
    day(createdAt),
    retiredAt === null ? { text: '-' } : day(retiredAt),
    { text: encryptions.toLocaleString('en') },
  ];
}

function printReEncryption(context: CommandContext, result: ReEncryption): void {
  const { output, style } = context;
  const { records, reEncrypted, left, removedKeys } = result;
  printLine(
    output,
    `${records} credentials: ${reEncrypted} values sealed again, ${removedKeys.length} data keys removed.`,
  );
  for (const { credentialId, reason } of left) printLine(output, style('bad', `left: ${credentialId} (${reason})`));
  if (left.length > 0)
    printLine(output, 'Run it again for what was busy or in flight; see credlife key verify for the rest.');
}

function printVerification(context: CommandContext, result: Verification): void {
  const { output, style } = context;
  const { records, values, unreadable, seal, suspects } = result;
  const verdict = unreadable.length === 0 ? style('good', 'all open') : style('bad', `${unreadable.length} unreadable`);
  printLine(output, `${values} values of ${records} credentials: ${verdict}.`);
  for (const { credentialId, field, generation, code, referenced } of unreadable) {
    const what = generation === null ? 'the record itself' : `${field} of generation ${generation}`;
    const missed = referenced ? '' : ', which nothing points at';
    printLine(output, style('bad', `unreadable: ${credentialId}, ${what}${missed} [${code}]`));
  }
  printLine(output, SEAL_SENTENCES[seal]);
  for (const id of suspects) printLine(output, style('bad', `behind its own events: ${id}`));
}

const SEAL_SENTENCES: Readonly<Record<Verification['seal'], string>> = {
  intact: 'The records are those that the seal of the store belongs to.',
  rolledBack:
    'The records are NOT those that the seal of the store belongs to: some were put back, taken out or changed.',
  notChecked: 'The seal of the store was not checked: others wrote all the time. Run it again when less is going on.',
};
