import { Command, Option } from 'commander';
import { ACCESS_SCOPES } from '../client.ts';
import type { CommandContext, GlobalOptions } from './context.ts';
import { authorize, type AuthorizeCommandOptions } from './commands/authorize.ts';
import { backup, restore, type RestoreCommandOptions } from './commands/backup.ts';
import {
  deleteCredential,
  pause,
  resume,
  update,
  type DeleteCommandOptions,
  type UpdateCommandOptions,
} from './commands/edit.ts';
import { grant, type GrantCommandOptions } from './commands/grant.ts';
import { init } from './commands/init.ts';
import { inspect, type InspectCommandOptions } from './commands/inspect.ts';
import {
  keyChangePassphrase,
  keyReEncrypt,
  keyRotate,
  keyStatus,
  keyVerify,
  type ChangePassphraseOptions,
} from './commands/key.ts';
import { machine, MACHINE_FORMATS, type MachineCommandOptions } from './commands/machine.ts';
import {
  refresh,
  revoke,
  rollback,
  rotate,
  show,
  test,
  use,
  type UseCommandOptions,
} from './commands/one-credential.ts';
import { register, type RegisterCommandOptions } from './commands/register.ts';
import {
  webhookAdd,
  webhookList,
  webhookRemove,
  webhookRotateKey,
  webhookTest,
  type WebhookAddOptions,
} from './commands/webhook.ts';
import { parseDuration } from './duration.ts';
import { exitCodeTable } from './exit-codes.ts';
import { addReports } from './report-options.ts';
import { malformed } from './secret-input.ts';
import { serve, type ServeCommandOptions } from './serve/serve.ts';
import { watchN8n } from './watch/watch.ts';
import type { WatchCommandOptions } from './watch/watching.ts';

const ID = 'id, its first characters, or a unique name';

/** The command's grammar. Parsing it throws instead of ending the process. */
export function createProgram(context: CommandContext, version: string): Command {
  const program = new Command('credlife')
    .description('Keeps every credential that an automation uses alive, and shows it.')
    .version(version)
    .option('--database <file>', 'database (default: CREDLIFE_DATABASE, or .credlife/credentials.db)')
    .option('--n8n [folder]', "work on the database of n8n's own engine; a folder is written as a path")
    .option('--json', 'one JSON document instead of text')
    .option('--debug', 'stack traces with errors')
    .addHelpText('after', `\nExit codes:\n${exitCodeTable()}\n`)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.output.write(text),
      // Errors are printed once, in one line, by whoever runs the program.
      writeErr: () => undefined,
    });
  addSetup(program, context);
  addReports(program, context);
  addRegister(program, context);
  addAuthorize(program, context);
  addVerbs(program, context);
  addEdits(program, context);
  addWebhooks(program, context);
  addServe(program, context);
  addInspect(program, context);
  addWatch(program, context);
  addMachine(program, context);
  addKeys(program, context);
  addBackup(program, context);
  return program;
}

function addSetup(program: Command, context: CommandContext): void {
  program
    .command('init')
    .description('make the folder and the master key of a new database')
    .action((_options: object, command: Command) => {
      init(context, command.optsWithGlobals<GlobalOptions>());
    });
}

function addRegister(program: Command, context: CommandContext): void {
  program
    .command('register')
    .description('store a credential and test it')
    .requiredOption('--name <name>', 'what people call it')
    .option('--protocol <protocol>', 'oauth2, ldap or basic', 'oauth2')
    .option('--config <file>', 'configuration as a JSON object; "-" for standard input')
    .option('--issuer <url>', 'authorization server, for discovery')
    .option('--token-endpoint <url>', 'token endpoint, instead of an issuer')
    .option('--client-id <id>', 'client id')
    .option(
      '--grant-type <type>',
      'client_credentials (default), refresh_token, authorization_code, device_code, token_exchange or jwt_bearer',
    )
    .option(
      '--client-authentication <method>',
      'client_secret_basic (default), none, private_key_jwt, …: docs/oauth2.md',
    )
    .option('--scope <scope>', 'scopes, separated by spaces')
    .option('--test-url <url>', 'a resource that answers 2xx to a good token')
    .option('--allow-insecure-transport', 'allow http:// endpoints')
    .option('--owner <id>', 'who owns it')
    .option('--tag <tag...>', 'tags')
    .option('--test-every <duration>', 'how often it is tested: 10m, 1h, off', testEveryArgument)
    .option('--no-test', 'store without testing')
    .addOption(
      new Option('--secret-stdin', 'read the secret from standard input').conflicts(['secretFile', 'secretEnv']),
    )
    .addOption(new Option('--secret-file <file>', 'read the secret from a file').conflicts('secretEnv'))
    .option('--secret-env <name>', 'read the secret from an environment variable')
    .addHelpText(
      'after',
      '\nThe secret is the client secret or password, or a JSON object {"clientSecret": ..., "refreshToken": ...}.' +
        '\nOn a terminal you are asked for it. It is never taken from an argument.\n',
    )
    .action((_options: object, command: Command) =>
      register(context, command.optsWithGlobals<RegisterCommandOptions>()),
    );
}

function addAuthorize(program: Command, context: CommandContext): void {
  program
    .command('authorize')
    .description('sign in, for the first time or again')
    .argument('<credential>', ID)
    .option('--device', 'show a code to enter on another device')
    .option('--callback-url <uri>', 'redirect URI of a machine elsewhere; paste the address that the browser ends at')
    .option('--port <port>', 'port of the callback on 127.0.0.1 (default: any that is free)', portArgument)
    .option('--no-browser', 'do not open a browser')
    .option('--for <duration>', 'wait so long: 90s, 3m (default: 10m)', durationArgument)
    .action((id: string, _options: object, command: Command) =>
      authorize(context, command.optsWithGlobals<AuthorizeCommandOptions>(), id),
    );
}

function addVerbs(program: Command, context: CommandContext): void {
  const verbs = [
    { name: 'show', description: 'everything about one credential but its secrets', run: show },
    { name: 'test', description: 'ask the other side whether it is good', run: test },
    { name: 'refresh', description: 'get a new grant now', run: refresh },
    { name: 'rotate', description: 'replace its secret by a new one', run: rotate },
    { name: 'rollback', description: 'put the secret before the last rotation back in use', run: rollback },
    { name: 'revoke', description: 'end it, here and at the other side', run: revoke },
    { name: 'pause', description: 'let scheduled work on it rest; idle grants are kept alive', run: pause },
    { name: 'resume', description: 'end a pause', run: resume },
  ];
  for (const { name, description, run } of verbs) {
    program
      .command(name)
      .description(description)
      .argument('<credential>', ID)
      .action((id: string, _options: object, command: Command) =>
        run(context, command.optsWithGlobals<GlobalOptions>(), id),
      );
  }
  program
    .command('use')
    .description('make sure that it is usable now')
    .argument('<credential>', ID)
    .option('--print-material', 'print the request headers: they are SECRET')
    .action((id: string, _options: object, command: Command) =>
      use(context, command.optsWithGlobals<UseCommandOptions>(), id),
    );
  program
    .command('grant')
    .description('issue an access key; it is shown once')
    .argument('[credential]', ID)
    .option('--engine', 'for every credential')
    .option('--scopes <scopes>', `some of ${ACCESS_SCOPES.join(',')}`, 'use')
    .action((id: string | undefined, _options: object, command: Command) =>
      grant(context, command.optsWithGlobals<GrantCommandOptions>(), id),
    );
}

function addEdits(program: Command, context: CommandContext): void {
  program
    .command('update')
    .description('change its name, owner, tags, settings or secret')
    .argument('<credential>', ID)
    .option('--name <name>', 'what people call it')
    .option('--owner <id>', 'who owns it; empty for nobody')
    .option('--for <id>', 'the workflow, project or environment that it is for; empty for none')
    .option('--tag <tag...>', 'all of its tags; one empty one for none')
    .option('--test-every <duration>', 'how often it is tested: 10m, 1h, off, default', testEveryArgument)
    .option('--config <file>', 'all of its configuration as a JSON object; "-" for standard input')
    .option('--issuer <url>', 'authorization server, for discovery')
    .option('--token-endpoint <url>', 'token endpoint, instead of an issuer')
    .option('--client-id <id>', 'client id')
    .option('--grant-type <type>', 'client_credentials or refresh_token')
    .option('--scope <scope>', 'scopes, separated by spaces')
    .option('--test-url <url>', 'a resource that answers 2xx to a good token')
    .option('--allow-insecure-transport', 'allow http:// endpoints')
    .option('--ask-secret', 'ask for a new secret on the terminal')
    .addOption(
      new Option('--secret-stdin', 'read a new secret from standard input').conflicts(['secretFile', 'secretEnv']),
    )
    .addOption(new Option('--secret-file <file>', 'read a new secret from a file').conflicts('secretEnv'))
    .option('--secret-env <name>', 'read a new secret from an environment variable')
    .option('--no-test', 'do not test what was changed')
    .action((id: string, _options: object, command: Command) =>
      update(context, command.optsWithGlobals<UpdateCommandOptions>(), id),
    );
  program
    .command('delete')
    .description('end it at the other side and forget it')
    .argument('<credential>', ID)
    .option('--yes', 'do not ask')
    .action((id: string, _options: object, command: Command) =>
      deleteCredential(context, command.optsWithGlobals<DeleteCommandOptions>(), id),
    );
}

function addWebhooks(program: Command, context: CommandContext): void {
  const webhook = program.command('webhook').description('who is told of events by signed requests: docs/health.md');
  webhook
    .command('add')
    .description('tell a URL of events from now on; the signing key is shown once')
    .argument('<url>', 'https, or http on this machine')
    .option('--types <type...>', 'only events of these types')
    .option('--owner <id>', "only events of this owner's credentials")
    .option('--allow-insecure-transport', 'allow http:// to another machine')
    .action((url: string, _options: object, command: Command) =>
      webhookAdd(context, command.optsWithGlobals<WebhookAddOptions>(), url),
    );
  webhook
    .command('list')
    .description('all webhooks, and how far each was served')
    .action((_options: object, command: Command) => webhookList(context, command.optsWithGlobals<GlobalOptions>()));
  const verbs = [
    { name: 'remove', description: 'tell it no more', run: webhookRemove },
    { name: 'test', description: 'send it a signed request now', run: webhookTest },
    { name: 'rotate-key', description: 'another signing key; both sign for a day', run: webhookRotateKey },
  ];
  for (const { name, description, run } of verbs) {
    webhook
      .command(name)
      .description(description)
      .argument('<webhook>', 'its id')
      .action((id: string, _options: object, command: Command) =>
        run(context, command.optsWithGlobals<GlobalOptions>(), id),
      );
  }
}

function addServe(program: Command, context: CommandContext): void {
  program
    .command('serve')
    .description('keep all credentials alive and show them')
    .option('--sandbox', 'with a real authorization server on this machine and four sample credentials')
    .option('--inspect', 'with an inspector that a browser on this machine can open')
    .option('--for <duration>', 'end after this time: 90s, 3m, 1h', durationArgument)
    .action((_options: object, command: Command) => serve(context, command.optsWithGlobals<ServeCommandOptions>()));
}

function addInspect(program: Command, context: CommandContext): void {
  program
    .command('inspect')
    .description('watch the state machines of engines in other processes, in the Stately inspector')
    .option('--port <port>', 'port on 127.0.0.1 and ::1 (default: a free one)', portArgument)
    .option('--for <duration>', 'end after this time: 90s, 3m, 1h', durationArgument)
    .addHelpText(
      'after',
      '\nStart the engines (credlife serve, n8n) with CREDLIFE_INSPECT set to the address that this prints. When it is set' +
        '\nhere too, it says port and token, and both sides may be started again at any time.\n',
    )
    .action((_options: object, command: Command) => inspect(context, command.optsWithGlobals<InspectCommandOptions>()));
}

function addWatch(program: Command, context: CommandContext): void {
  program
    .command('watch')
    .description('watch credentials that others keep: docs/n8n-watch.md')
    .command('n8n')
    .description('have n8n test its own credentials, and alert once when one fails; never changes any')
    .option('--url <url>', 'where n8n is (default: CREDLIFE_N8N_URL)')
    .option('--api-key-file <file>', 'file with an API key of n8n (default: CREDLIFE_N8N_API_KEY_FILE)')
    .option('--every <duration>', 'how often each is tested: 15m, 1h (default: 1h)', durationArgument)
    .option('--once', 'look once and end: exit code 3 when a credential fails')
    .option('--for <duration>', 'end after this time: 90s, 3m, 1h', durationArgument)
    .option('--allow-insecure-transport', 'allow http:// to another machine')
    .addHelpText(
      'after',
      '\nThe API key needs the scopes credential:list and credential:read, and no others.' +
        '\nIt is never taken from an argument.\n',
    )
    .action((_options: object, command: Command) => watchN8n(context, command.optsWithGlobals<WatchCommandOptions>()));
}

function addMachine(program: Command, context: CommandContext): void {
  program
    .command('machine')
    .description('the state machine that every credential lives by')
    .addOption(new Option('--format <format>', 'how to print it').choices(MACHINE_FORMATS).default('mermaid'))
    .action((_options: object, command: Command) => {
      machine(context, command.optsWithGlobals<MachineCommandOptions>());
    });
}

function addKeys(program: Command, context: CommandContext): void {
  const key = program.command('key').description('the keys that seal all secrets: docs/at-rest.md');
  const verbs = [
    { name: 'status', description: 'data keys, their ages and how much each has sealed', run: keyStatus },
    { name: 'rotate', description: 'a new data key, at once', run: keyRotate },
    {
      name: 're-encrypt',
      description: 'seal everything again under the active key, while all goes on',
      run: keyReEncrypt,
    },
    { name: 'verify', description: 'open every value, list what does not open, look for a roll-back', run: keyVerify },
  ];
  for (const { name, description, run } of verbs) {
    key
      .command(name)
      .description(description)
      .action((_options: object, command: Command) => run(context, command.optsWithGlobals<GlobalOptions>()));
  }
  key
    .command('change-passphrase')
    .description('another passphrase or master key; no sealed value is touched')
    .addOption(new Option('--new-passphrase-file <file>', 'file with the new passphrase').conflicts('newMasterKeyFile'))
    .option('--new-master-key-file <file>', 'file with 32 bytes, hexadecimal or base64')
    .addHelpText(
      'after',
      '\nOn a terminal you are asked for a passphrase. The present key comes from the settings, as ever.\n',
    )
    .action((_options: object, command: Command) =>
      keyChangePassphrase(context, command.optsWithGlobals<ChangePassphraseOptions>()),
    );
}

function addBackup(program: Command, context: CommandContext): void {
  program
    .command('backup')
    .description('a consistent, sealed copy of the database, while all goes on')
    .argument('<file>', 'a file that does not exist')
    .action((file: string, _options: object, command: Command) =>
      backup(context, command.optsWithGlobals<GlobalOptions>(), file),
    );
  program
    .command('restore')
    .description('put a backup in the place of the database')
    .argument('<file>', 'a file that "credlife backup" wrote')
    .option('--force', 'replace a database that exists; it is kept beside the new one')
    .action((file: string, _options: object, command: Command) =>
      restore(context, command.optsWithGlobals<RestoreCommandOptions>(), file),
    );
}

function testEveryArgument(text: string): number | null {
  if (text === 'off') return 0;
  if (text === 'default') return null;
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs >= 60_000) return durationMs;
  throw malformed('The option --test-every takes a duration of at least 1m, or off, or default.');
}

function durationArgument(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null) throw malformed('The option --for takes a duration such as 90s, 3m or 1h.');
  return durationMs;
}

function portArgument(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw malformed('The option --port takes 1 to 65535.');
  return port;
}
