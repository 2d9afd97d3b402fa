import type { ICredentialType, Icon, INodeProperties } from 'n8n-workflow';
import { takeOverFromHost } from '../src/n8n/connect-button.ts';

/** An OAuth2 sign-in by n8n's own connect button; from the first request on the engine keeps its token. */
export class LifecycleConnectOAuth2Api implements ICredentialType {
  name = 'lifecycleConnectOAuth2Api';
  displayName = 'Connect Button (Lifecycle) OAuth2 API';
  extends = ['oAuth2Api'];
  documentationUrl =
    'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle/blob/main/docs/n8n-watch.md#oauth2-with-n8ns-connect-button';
  icon: Icon = {
    light: 'file:../nodes/CredentialLifecycle/credential-lifecycle.svg',
    dark: 'file:../nodes/CredentialLifecycle/credential-lifecycle.dark.svg',
  };
  properties: INodeProperties[] = [
    {
      displayName:
        'Sign in with the button. With the first request the engine takes the refresh token over and keeps the newest one itself; n8n refreshes nothing here any more. To use the sign-in elsewhere too, connect again there: a refresh token has one keeper.',
      name: 'connectNotice',
      type: 'notice',
      default: '',
    },
    {
      displayName: 'Grant Type',
      name: 'grantType',
      type: 'options',
      options: [
        {
          name: 'Authorization Code',
          value: 'authorizationCode',
          description: 'A person signs in, and the client proves itself by its secret',
        },
        { name: 'PKCE', value: 'pkce', description: 'The same, with a proof for this one sign-in (RFC 7636)' },
      ],
      default: 'authorizationCode',
    },
    {
      displayName: 'Allow Insecure Transport',
      name: 'allowInsecureTransport',
      type: 'boolean',
      default: false,
      description:
        'Whether http:// is accepted instead of https:// for the token URL. Only for a server on this machine.',
    },
  ];
  preAuthentication = takeOverFromHost();
}
