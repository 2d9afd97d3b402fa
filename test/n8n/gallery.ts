import type { CredentialEngine } from '../../src/engine.ts';
import type { Editor, Picture } from './editor.ts';
import type { StoredWorkflow } from './n8n-server.ts';
import { chain, type CredentialReference, manualTrigger, node, type WorkflowNode } from './workflow.ts';
import type { World } from './world.ts';

const PACKAGE = 'n8n-nodes-credential-lifecycle';

/** One picture of the documentation. */
export interface Exhibit {
  /** The file is `<name>.<theme>.png`. */
  readonly name: string;
  /** The credential type or node type that it shows, without the name of the package. */
  readonly of: string;
  readonly take: (editor: Editor) => Promise<Picture>;
}

/** What is on show: each credential type's form and each node's panel, filled in as a user would. */
export async function gallery(world: World): Promise<readonly Exhibit[]> {
  return [...(await forms(world)), ...(await lifecyclePanel(world))];
}

async function forms(world: World): Promise<Exhibit[]> {
  const create = (type: string, name: string, data: Record<string, unknown>) =>
    world.n8n.createCredential(type, name, data);
  const oauth2 = await create('lifecycleOAuth2Api', 'Invoices', world.form());
  const managedId = await world.registered('Billing');
  const managed = { credentialId: managedId, accessKey: await keyTo(world, managedId, 'use') };
  const access = { accessKey: await keyTo(world, null, 'list') };
  return [
    form('oauth2-form', oauth2),
    { name: 'oauth2-advanced', of: oauth2.type, take: (editor) => scrolled(editor, oauth2) },
    form('managed-form', await create('managedCredentialApi', 'Billing', managed)),
    form('access-form', await create('credentialLifecycleAccessApi', 'Lifecycle access', access)),
  ];
}

function form(name: string, credential: CredentialReference): Exhibit {
  return { name, of: credential.type, take: (editor) => editor.credentialForm(credential) };
}

async function scrolled(editor: Editor, credential: CredentialReference): Promise<Picture> {
  await editor.credentialForm(credential);
  return editor.scrollForm();
}

async function keyTo(world: World, id: string | null, ...scopes: ('use' | 'list')[]): Promise<string> {
  const granted = await world.withEngine((engine: CredentialEngine) => engine.grant(id, { scopes }));
  return granted.accessKey;
}

async function lifecyclePanel(world: World): Promise<Exhibit[]> {
  const data = { accessKey: await keyTo(world, null, 'list') };
  const access = await world.n8n.createCredential('credentialLifecycleAccessApi', 'Lifecycle access', data);
  const lifecycle = node({
    name: 'Credential Lifecycle',
    type: `${PACKAGE}.credentialLifecycle`,
    parameters: { resource: 'credential', operation: 'list', filters: { state: 'valid' } },
    credential: access,
  });
  const workflow = await world.n8n.createWorkflow(chain('What is valid', [manualTrigger(), lifecycle]));
  return [executed('lifecycle-node', 'credentialLifecycle', workflow, lifecycle)];
}

function executed(name: string, of: string, workflow: StoredWorkflow, shown: WorkflowNode): Exhibit {
  const take = async (editor: Editor) => {
    await editor.nodePanel(workflow, shown);
    return editor.executeStep();
  };
  return { name, of, take };
}
