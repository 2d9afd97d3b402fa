import type { EngineClient, OperatorHandle } from '../client.ts';
import type { CredentialSource } from './adapter.ts';
import { basicEntry } from './basic-entry.ts';
import { secretText, text, type CredentialData } from './form-values.ts';
import { ldapEntry } from './ldap-entry.ts';
import { oauth2Entry } from './oauth2-entry.ts';

/** `lifecycleOAuth2Api`: entered in n8n, adopted by the engine. */
export const lifecycleOAuth2: CredentialSource = {
  type: 'lifecycleOAuth2Api',
  handle: (client, data) => client.adopted(oauth2Entry(data)),
};

/** `lifecycleBasicApi`: the same. */
export const lifecycleBasic: CredentialSource = {
  type: 'lifecycleBasicApi',
  handle: (client, data) => client.adopted(basicEntry(data)),
};

/** `lifecycleLdapApi`: the same. */
export const lifecycleLdap: CredentialSource = {
  type: 'lifecycleLdapApi',
  handle: (client, data) => client.adopted(ldapEntry(data)),
};

/** `managedCredentialApi`: kept in the engine, reached by id and access key. */
export const managedCredential: CredentialSource = {
  type: 'managedCredentialApi',
  handle: (client, data) => client.managed(text(data, 'credentialId'), secretText(data, 'accessKey')),
};

/** `credentialLifecycleAccessApi`: the verbs that an access key allows. */
export function operatorOf(client: EngineClient, data: CredentialData): Promise<OperatorHandle> {
  return client.operator(secretText(data, 'accessKey'));
}
