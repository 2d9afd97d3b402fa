import type { ICredentialType, Icon, INodeProperties } from 'n8n-workflow';
import { accessKey } from '../src/n8n/properties.ts';

/** What the Credential Lifecycle node may do, and with which credentials: the scopes and the reach of its access key. */
export class CredentialLifecycleAccessApi implements ICredentialType {
  name = 'credentialLifecycleAccessApi';
  displayName = 'Credential Lifecycle Access API';
  documentationUrl =
    'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle#credential-lifecycle-access';
  icon: Icon = {
    light: 'file:../nodes/CredentialLifecycle/credential-lifecycle.svg',
    dark: 'file:../nodes/CredentialLifecycle/credential-lifecycle.dark.svg',
  };
  properties: INodeProperties[] = [
    accessKey(
      'Issued by "credlife grant" with the scopes that the node needs: list, use, test, refresh, rotate, pause, update, authorize, revoke, delete. It is shown once.',
    ),
  ];
}
