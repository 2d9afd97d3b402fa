import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod/v4';
import type { N8nServer, StoredWorkflow } from './n8n-server.ts';
import type { CredentialReference } from './workflow.ts';

const FOLDER = path.resolve(__dirname, '../../examples/n8n');

const reference = z.object({ id: z.string(), name: z.string() });
const exampleNode = z.looseObject({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  typeVersion: z.number(),
  position: z.tuple([z.number(), z.number()]),
  parameters: z.record(z.string(), z.unknown()),
  credentials: z.record(z.string(), reference).default({}),
});
const exampleSchema = z.strictObject({
  name: z.string().min(1),
  nodes: z.array(exampleNode).min(2),
  connections: z.record(z.string(), z.unknown()),
  settings: z.record(z.string(), z.unknown()).default({}),
});

/** A workflow as a user downloads it. */
export type Example = z.infer<typeof exampleSchema>;

/** What a user has of his own: the values of each credential type that an example needs, and where his servers are. */
export interface Surroundings {
  readonly credentials: Readonly<Record<string, Record<string, unknown>>>;
  /** Texts of the example, each with what takes its place: `https://api.example.com` → a server on this machine. */
  readonly replacements: Readonly<Record<string, string>>;
}

export function exampleFiles(): string[] {
  return globSync('*.json', { cwd: FOLDER }).sort();
}

/** @throws when it holds more or less than n8n's own export of a workflow needs to */
export function readExample(file: string): Example {
  return exampleSchema.parse(JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')));
}

/** Imports an example as n8n's editor does, with one credential made for each type that it names. */
export async function importExample(
  n8n: N8nServer,
  example: Example,
  surroundings: Surroundings,
): Promise<StoredWorkflow> {
  const types = [...new Set(example.nodes.flatMap(({ credentials }) => Object.keys(credentials)))];
  const made = new Map<string, CredentialReference>();
  for (const type of types) {
    const data = surroundings.credentials[type];
    if (!data) throw new Error(`"${example.name}" needs a credential of the type ${type}`);
    made.set(type, await n8n.createCredential(type, `For ${example.name}`, data));
  }
  const nodes = example.nodes.map((node) => ({
    ...node,
    parameters: replaceTexts(node.parameters, surroundings.replacements),
    credentials: Object.fromEntries(Object.keys(node.credentials).map((type) => [type, referenceOf(made.get(type))])),
  }));
  return n8n.createWorkflow({ ...example, nodes });
}

function referenceOf(credential: CredentialReference | undefined): z.infer<typeof reference> {
  return reference.parse(credential);
}

function replaceTexts(parameters: Record<string, unknown>, replacements: Surroundings['replacements']) {
  let text = JSON.stringify(parameters);
  for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to);
  return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
}
