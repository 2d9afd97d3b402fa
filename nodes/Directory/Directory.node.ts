import {
  NodeConnectionTypes,
  type IExecuteFunctions,
  type INodeExecutionData,
  type INodeType,
  type INodeTypeDescription,
} from 'n8n-workflow';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { searchBases } from '../../src/n8n/directory.ts';
import type { Refusals } from '../../src/n8n/directory-login.ts';
import { failedOutput, toNodeError } from '../../src/n8n/errors.ts';
import { operationProperties, runOperation } from './operations/index.ts';

const { ldap, managed } = credentialTests();

/** Questions to an LDAP directory or Active Directory, over connections that the engine keeps. */
export class Directory implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Directory',
    name: 'directory',
    icon: { light: 'file:directory.svg', dark: 'file:directory.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle: '={{$parameter["operation"]}}',
    description: 'Authenticate people, search entries and read users and groups in LDAP and Active Directory',
    defaults: { name: 'Directory' },
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    // Searches are safe in an agent's hands: values are escaped and passwords never returned. "authenticate" refuses to be a tool.
    usableAsTool: true,
    credentials: [
      {
        name: 'lifecycleLdapApi',
        required: true,
        testedBy: 'lifecycleLdapTest',
        displayOptions: { show: { authentication: ['lifecycleLdapApi'] } },
      },
      {
        name: 'managedCredentialApi',
        required: true,
        testedBy: 'managedCredentialTest',
        displayOptions: { show: { authentication: ['managedCredentialApi'] } },
      },
    ],
    properties: [
      {
        displayName: 'Authentication',
        name: 'authentication',
        type: 'options',
        noDataExpression: true,
        options: [
          { name: 'LDAP (Lifecycle)', value: 'lifecycleLdapApi', description: 'An account that is entered in n8n' },
          {
            name: 'Managed Credential',
            value: 'managedCredentialApi',
            description: 'A credential of the protocol ldap that the engine keeps already',
          },
        ],
        default: 'lifecycleLdapApi',
        description: 'The account by which the directory is asked',
      },
      ...operationProperties,
    ],
  };

  methods = {
    credentialTest: { lifecycleLdapTest: ldap, managedCredentialTest: managed },
    listSearch: { searchBases },
  };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const results: INodeExecutionData[] = [];
    const refusals: Refusals = new Map();
    // One after the other: twenty items are twenty questions on one connection.
    for (const itemIndex of this.getInputData().keys()) {
      try {
        const rows = await runOperation(this, itemIndex, refusals);
        results.push(...rows.map((json) => ({ json, pairedItem: { item: itemIndex } })));
      } catch (error) {
        if (!this.continueOnFail()) throw toNodeError(this.getNode(), error, itemIndex);
        results.push(failedOutput(this.getNode(), error, itemIndex));
      }
    }
    return [results];
  }
}
