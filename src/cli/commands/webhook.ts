import { EVENT_TYPES, type EventType } from '../../lifecycle/events.ts';
import type { WebhookStatus } from '../../webhooks/webhook.ts';
import { layOut, type Cell } from '../columns.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { withEngine } from '../database-location.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { malformed } from '../secret-input.ts';

export interface WebhookAddOptions extends GlobalOptions {
  readonly types?: readonly string[];
  readonly owner?: string;
  readonly allowInsecureTransport?: boolean;
}

/** `credlife webhook add URL`: events are sent there from now on. Shows the signing key this once. */
export function webhookAdd(context: CommandContext, options: WebhookAddOptions, url: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const { webhook, key } = await engine.webhooks.add({
      url,
      ...(options.types !== undefined && { types: eventTypes(options.types) }),
      ...(options.owner !== undefined && { ownerId: options.owner }),
      ...(options.allowInsecureTransport === true && { allowInsecureTransport: true }),
    });
    if (options.json === true) {
      printJson(context, { webhook, key });
      return;
    }
    printKey(context, `Webhook ${webhook.webhookId} is added. Its signing key`, key);
  });
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the types that there are */
function eventTypes(names: readonly string[]): readonly EventType[] {
  const known = EVENT_TYPES.filter((type) => names.includes(type));
  if (known.length === new Set(names).size) return known;
  throw malformed(`The option --types takes some of: ${EVENT_TYPES.join(', ')}.`);
}

/** `credlife webhook list`: who is told, and how far. */
export function webhookList(context: CommandContext, options: GlobalOptions): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const webhooks = await engine.webhooks.list();
    if (options.json === true) {
      printJson(context, { webhooks });
      return;
    }
    if (webhooks.length === 0) {
      printLine(context.output, 'No webhooks yet. Add one: credlife webhook add URL');
      return;
    }
    printTable(context, webhooks);
  });
}

/** `credlife webhook remove ID` */
export function webhookRemove(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    await engine.webhooks.remove(id);
    if (options.json === true) printJson(context, { webhookId: id, removed: true });
    else printLine(context.output, `Webhook ${id} is removed.`);
  });
}

/** `credlife webhook test ID`: a signed request of the type webhook.test, now. Exit code 3 when it does not arrive. */
export function webhookTest(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const result = await engine.webhooks.test(id);
    if (!result.delivered) context.setExitCode(EXIT_CODES.attention.code);
    if (options.json === true) {
      printJson(context, { webhookId: id, ...result });
      return;
    }
    const { delivered, status, failure, latencyMs } = result;
    const verdict = delivered ? context.style('good', 'delivered') : context.style('bad', 'not delivered');
    const detail = delivered ? `HTTP ${String(status)}` : printable(failure ?? '');
    printLine(context.output, `${id}: ${verdict}, ${detail}, ${Math.round(latencyMs)} ms`);
  });
}

/** `credlife webhook rotate-key ID`: another signing key; for a day both sign. */
export function webhookRotateKey(context: CommandContext, options: GlobalOptions, id: string): Promise<void> {
  return withEngine(context, options, async (engine) => {
    const { key, previousKeyUntil } = await engine.webhooks.rotateKey(id);
    if (options.json === true) {
      printJson(context, { webhookId: id, key, previousKeyUntil });
      return;
    }
    printKey(context, `The key before signs too until ${previousKeyUntil.toISOString()}. The new signing key`, key);
  });
}

function printKey(context: CommandContext, sentence: string, key: string): void {
  printLine(context.errors, `${sentence}; shown this once:`);
  printLine(context.output, key);
}

function printTable(context: CommandContext, webhooks: readonly WebhookStatus[]): void {
  const rows = webhooks.map((webhook): Cell[] => [
    { text: webhook.webhookId },
    { text: printable(webhook.url) },
    { text: webhook.types.length === 0 ? 'all events' : webhook.types.join(' ') },
    { text: String(webhook.waiting) },
    { text: String(webhook.delivered) },
    webhook.failure === null ? { text: 'well', tone: 'good' } : { text: printable(webhook.failure), tone: 'bad' },
  ]);
  const columns = [
    { title: 'ID' },
    { title: 'URL', leastWidth: 12 },
    { title: 'EVENTS', leastWidth: 10 },
    { title: 'WAITING' },
    { title: 'DELIVERED' },
    { title: 'STATE', leastWidth: 10 },
  ];
  for (const line of layOut(columns, rows, widthOf(context.output), context.style)) printLine(context.output, line);
}
