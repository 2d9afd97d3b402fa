import type { ICredentialType, Icon, INodeProperties } from 'n8n-workflow';
import { ldapProperties } from '../src/n8n/ldap-properties.ts';

/** A service account of a directory, entered in n8n; the engine keeps its connections. The node Directory uses it. */
export class LifecycleLdapApi implements ICredentialType {
  name = 'lifecycleLdapApi';
  displayName = 'LDAP (Lifecycle) API';
  documentationUrl =
    'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle/blob/main/docs/n8n-directory.md#ldap-lifecycle';
  icon: Icon = {
    light: 'file:../nodes/Directory/directory.svg',
    dark: 'file:../nodes/Directory/directory.dark.svg',
  };
  properties: INodeProperties[] = [...ldapProperties];
}
