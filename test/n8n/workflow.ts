import { randomUUID } from 'node:crypto';

/** A credential as a workflow refers to it. */
export interface CredentialReference {
  readonly id: string;
  readonly name: string;
  readonly type: string;
}

export interface WorkflowNode {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly typeVersion: number;
  readonly position: readonly [number, number];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly credentials?: Readonly<Record<string, { readonly id: string; readonly name: string }>>;
  readonly webhookId?: string;
  readonly [setting: string]: unknown;
}

export interface WorkflowDefinition {
  readonly name: string;
  readonly nodes: readonly WorkflowNode[];
  readonly connections: Readonly<Record<string, unknown>>;
  readonly settings: Readonly<Record<string, unknown>>;
}

export interface NodeOptions {
  readonly name: string;
  readonly type: string;
  readonly typeVersion?: number;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly credential?: CredentialReference;
  /** Settings beside the parameters, such as `onError` or `retryOnFail`. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Any node of a workflow. */
export function node(options: NodeOptions): WorkflowNode {
  const { credential } = options;
  return {
    id: randomUUID(),
    name: options.name,
    type: options.type,
    typeVersion: options.typeVersion ?? 1,
    position: [0, 0],
    parameters: options.parameters ?? {},
    ...(credential && { credentials: { [credential.type]: { id: credential.id, name: credential.name } } }),
    ...options.settings,
  };
}

export function manualTrigger(name = 'Start'): WorkflowNode {
  return node({ name, type: 'n8n-nodes-base.manualTrigger' });
}

/** Answers when the workflow has ended, with the items of its last node. Call it with `N8nServer.callWebhook(path)`. */
export function webhook(path: string): WorkflowNode {
  return {
    ...node({
      name: 'Webhook',
      type: 'n8n-nodes-base.webhook',
      typeVersion: 2,
      parameters: { httpMethod: 'POST', path, responseMode: 'lastNode', responseData: 'allEntries', options: {} },
    }),
    webhookId: randomUUID(),
  };
}

/** Makes one item of each element of the array `field` of the item before it. Behind a webhook the field is `body.<name>`. */
export function splitOut(field: string): WorkflowNode {
  return node({ name: 'Split', type: 'n8n-nodes-base.splitOut', parameters: { fieldToSplitOut: field, options: {} } });
}

/** The built-in HTTP Request node with a credential of ours: it sends all items at once, as n8n does by itself. */
export function httpRequest(
  url: string,
  credential: CredentialReference,
  settings: Readonly<Record<string, unknown>> = {},
): WorkflowNode {
  return node({
    name: 'HTTP Request',
    type: 'n8n-nodes-base.httpRequest',
    typeVersion: 4.2,
    parameters: { url, authentication: 'predefinedCredentialType', nodeCredentialType: credential.type, options: {} },
    credential,
    settings,
  });
}

/** A workflow whose nodes follow each other in the order given. */
export function chain(name: string, nodes: readonly WorkflowNode[]): WorkflowDefinition {
  const connections: Record<string, unknown> = {};
  for (const [index, from] of nodes.entries()) {
    const to = nodes[index + 1];
    if (to) connections[from.name] = { main: [[{ node: to.name, type: 'main', index: 0 }]] };
  }
  return { name, nodes, connections, settings: { executionOrder: 'v1' } };
}
