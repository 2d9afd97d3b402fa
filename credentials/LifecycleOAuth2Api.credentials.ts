import type { IAuthenticate, ICredentialType, Icon } from 'n8n-workflow';
import { authenticationThrough } from '../src/n8n/adapter.ts';
import { lifecycleOAuth2 } from '../src/n8n/credential-sources.ts';
import { oauth2Properties } from '../src/n8n/oauth2-properties.ts';

const { preAuthentication, authenticate } = authenticationThrough(lifecycleOAuth2);

/** An OAuth2 client entered in n8n; the engine gets and keeps its token. */
export class LifecycleOAuth2Api implements ICredentialType {
  name = 'lifecycleOAuth2Api';
  displayName = 'OAuth2 (Lifecycle) API';
  documentationUrl = 'https://github.com/credential-lifecycle/n8n-nodes-credential-lifecycle#oauth2-lifecycle';
  icon: Icon = {
    light: 'file:../nodes/CredentialLifecycle/credential-lifecycle.svg',
    dark: 'file:../nodes/CredentialLifecycle/credential-lifecycle.dark.svg',
  };
  properties = [...oauth2Properties];
  preAuthentication = preAuthentication;
  authenticate: IAuthenticate = authenticate;
}
