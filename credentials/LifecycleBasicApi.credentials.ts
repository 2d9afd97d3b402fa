import type { IAuthenticate, ICredentialType, Icon, INodeProperties } from 'n8n-workflow';
import { authenticationThrough } from '../src/n8n/adapter.ts';
import { basicProperties } from '../src/n8n/basic-properties.ts';
import { lifecycleBasic } from '../src/n8n/credential-sources.ts';

const { preAuthentication, authenticate } = authenticationThrough(lifecycleBasic);

/** A user name and a password for services that know nothing better; the engine tests and watches them. */
export class LifecycleBasicApi implements ICredentialType {
  name = 'lifecycleBasicApi';
  displayName = 'Basic Auth (Lifecycle) API';
  documentationUrl =
    'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle/blob/main/docs/n8n-directory.md#basic-auth-lifecycle';
  icon: Icon = {
    light: 'file:../nodes/CredentialLifecycle/credential-lifecycle.svg',
    dark: 'file:../nodes/CredentialLifecycle/credential-lifecycle.dark.svg',
  };
  properties: INodeProperties[] = [...basicProperties];
  preAuthentication = preAuthentication;
  authenticate: IAuthenticate = authenticate;
}
