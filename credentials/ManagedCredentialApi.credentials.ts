import type { IAuthenticate, ICredentialType, Icon, INodeProperties } from 'n8n-workflow';
import { authenticationThrough } from '../src/n8n/adapter.ts';
import { managedCredential } from '../src/n8n/credential-sources.ts';
import { accessKey, generationMarker } from '../src/n8n/properties.ts';

const { preAuthentication, authenticate } = authenticationThrough(managedCredential);

/** A credential that lives in the engine. Knowing its id is not enough: the access key is issued for it. */
export class ManagedCredentialApi implements ICredentialType {
  name = 'managedCredentialApi';
  displayName = 'Managed Credential API';
  documentationUrl = 'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle#managed-credential';
  icon: Icon = {
    light: 'file:../nodes/CredentialLifecycle/credential-lifecycle.svg',
    dark: 'file:../nodes/CredentialLifecycle/credential-lifecycle.dark.svg',
  };
  properties: INodeProperties[] = [
    {
      displayName: 'Credential ID',
      name: 'credentialId',
      type: 'string',
      required: true,
      default: '',
      description: 'The ID in the engine, as "credlife list" shows it',
    },
    accessKey('Issued by "credlife grant ID --scopes use". It is shown once.'),
    generationMarker,
  ];
  preAuthentication = preAuthentication;
  authenticate: IAuthenticate = authenticate;
}
