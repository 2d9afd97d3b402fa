import type {
  ICredentialDataDecryptedObject,
  IDataObject,
  IExecuteFunctions,
  INode,
  INodeExecutionData,
  INodeType,
} from 'n8n-workflow';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';

const REGISTRY = Symbol.for('n8n-nodes-credential-lifecycle/engine-registry/1');

/** Makes an engine the one of this process, as nodes and credential types find it. */
export function shareEngine(engine: CredentialEngine): void {
  const client = createEmbeddedClient(engine);
  Reflect.set(globalThis, REGISTRY, { client: () => Promise.resolve(client), close: () => engine.close() });
}

export function forgetEngine(): void {
  Reflect.deleteProperty(globalThis, REGISTRY);
}

export interface NodeRun {
  readonly parameters: IDataObject;
  readonly credentials: Readonly<Record<string, ICredentialDataDecryptedObject>>;
  readonly items: readonly IDataObject[];
  readonly continueOnFail?: boolean;
  readonly node?: Partial<INode>;
}

/** Parameters that differ by item are functions of the item: what an expression is in n8n. */
type Parameter = unknown;

/** Runs a node with nothing of n8n but what `execute` is given. */
export async function runNode(type: INodeType, run: NodeRun): Promise<INodeExecutionData[]> {
  const node = { id: '1', name: 'Node', type: 'directory', typeVersion: 1, position: [0, 0], parameters: {} };
  const context = {
    getInputData: () => run.items.map((json) => ({ json })),
    getNode: () => ({ ...node, ...run.node }),
    getWorkflow: () => ({ id: 'workflow', name: 'Workflow', active: true }),
    getExecutionCancelSignal: () => undefined,
    continueOnFail: () => run.continueOnFail ?? false,
    getCredentials: (name: string) => {
      const credential = run.credentials[name];
      return credential ? Promise.resolve(credential) : Promise.reject(new Error(`no credential ${name}`));
    },
    getNodeParameter: (name: string, itemIndex: number, fallback?: unknown): Parameter => {
      const value = name
        .split('.')
        .reduce<unknown>((part, key) => (part as IDataObject | undefined)?.[key], run.parameters);
      const json = run.items[itemIndex];
      return typeof value === 'function' ? (value as (item: unknown) => unknown)(json) : (value ?? fallback);
    },
  };
  const [output = []] = (await type.execute?.call(context as unknown as IExecuteFunctions)) as INodeExecutionData[][];
  return output;
}
