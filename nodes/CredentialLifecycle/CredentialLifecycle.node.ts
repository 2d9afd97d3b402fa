import {
  NodeConnectionTypes,
  type IExecuteFunctions,
  type INodeExecutionData,
  type INodeType,
  type INodeTypeDescription,
} from 'n8n-workflow';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { failedOutput, toNodeError } from '../../src/n8n/errors.ts';
import { keepAliveFromStart } from '../../src/n8n/keeper.ts';
import { loadOptions, searchCredentials } from '../../src/n8n/operator.ts';
import { properties, runOperation } from './resources/index.ts';

const { oauth2, basic, managed, access } = credentialTests();

/** Tests of credential types hang on a node. These are no credentials for this node, so it never shows them. */
const NEVER_SHOWN = { show: { resource: ['testOfCredentialType'] } };

keepAliveFromStart();

/** The lifecycle verbs as a node. What comes out says how a credential is, and never holds it. */
export class CredentialLifecycle implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Credential Lifecycle',
    name: 'credentialLifecycle',
    icon: { light: 'file:credential-lifecycle.svg', dark: 'file:credential-lifecycle.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle: '={{$parameter["resource"] + ": " + $parameter["operation"]}}',
    description: 'See, check, test, refresh, rotate, change and end the credentials that the engine keeps alive',
    defaults: { name: 'Credential Lifecycle' },
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    // Safe in an agent's hands: the author fixes the operation, the access key its scopes, and no output holds a secret.
    usableAsTool: true,
    credentials: [
      { name: 'credentialLifecycleAccessApi', required: true, testedBy: 'credentialLifecycleAccessTest' },
      { name: 'lifecycleOAuth2Api', testedBy: 'lifecycleOAuth2Test', displayOptions: NEVER_SHOWN },
      { name: 'lifecycleBasicApi', testedBy: 'lifecycleBasicTest', displayOptions: NEVER_SHOWN },
      { name: 'managedCredentialApi', testedBy: 'managedCredentialTest', displayOptions: NEVER_SHOWN },
    ],
    properties,
  };

  methods = {
    credentialTest: {
      credentialLifecycleAccessTest: access,
      lifecycleOAuth2Test: oauth2,
      lifecycleBasicTest: basic,
      managedCredentialTest: managed,
    },
    listSearch: { searchCredentials },
    loadOptions,
  };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const results: INodeExecutionData[] = [];
    for (const itemIndex of this.getInputData().keys()) {
      try {
        const rows = await runOperation(this, itemIndex);
        results.push(...rows.map((json) => ({ json, pairedItem: { item: itemIndex } })));
      } catch (error) {
        if (!this.continueOnFail()) throw toNodeError(this.getNode(), error, itemIndex);
        results.push(failedOutput(this.getNode(), error, itemIndex));
      }
    }
    return [results];
  }
}
