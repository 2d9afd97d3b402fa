import { z } from 'zod/v4';
import { CLIENT_NAMES } from './options.ts';

/** What others need to know to talk to a running sandbox server. Holds secrets: only for its owner. */
export const serverFactsSchema = z.strictObject({
  issuer: z.url(),
  pid: z.int(),
  administrationToken: z.string(),
  clients: z.record(z.enum(CLIENT_NAMES), z.strictObject({ clientId: z.string(), clientSecret: z.string() })),
});
export type ServerFacts = z.output<typeof serverFactsSchema>;

/** File in the sandbox's folder that holds the facts of the server that runs there, or ran there last. */
export const FACTS_FILE = 'server.json';

/** What the server's process tells the one that started it, once. */
export const processMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('listening'), facts: serverFactsSchema }),
  z.strictObject({ type: z.literal('failed'), code: z.string(), message: z.string() }),
]);
export type ProcessMessage = z.output<typeof processMessageSchema>;
