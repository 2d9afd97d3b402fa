import type { ICredentialDataDecryptedObject } from 'n8n-workflow';
import type { AdoptedEntry, EngineClient, OperatorHandle } from '../client.ts';
import type { CredentialSource } from './adapter.ts';

type CredentialData = ICredentialDataDecryptedObject;

/** `lifecycleOAuth2Api`: entered in n8n, adopted by the engine. */
export const lifecycleOAuth2: CredentialSource = {
  type: 'lifecycleOAuth2Api',
  handle: (client, data) => client.adopted(oauth2Entry(data)),
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

/** The registration of the values that a person typed into n8n. @param name for people; default: client and endpoint. */
export function oauth2Entry(data: CredentialData, name?: string): AdoptedEntry {
  const endpoint = text(data, 'endpointSource') === 'tokenEndpoint' ? 'tokenEndpoint' : 'issuer';
  return {
    name: name ?? `${text(data, 'clientId')} at ${hostOf(text(data, endpoint))}`,
    protocol: 'oauth2',
    config: {
      [endpoint]: text(data, endpoint),
      ...given(data, ['introspectionEndpoint', 'userinfoEndpoint', 'revocationEndpoint', 'testUrl', 'scope']),
      grantType: text(data, 'grantType'),
      clientId: text(data, 'clientId'),
      clientAuthentication: text(data, 'clientAuthentication'),
      ...reuseGrace(data),
      ...(data['allowInsecureTransport'] === true && { allowInsecureTransport: true }),
    },
    secret: {
      clientSecret: secretText(data, 'clientSecret'),
      ...(text(data, 'grantType') === 'refresh_token' && { refreshToken: secretText(data, 'refreshToken') }),
    },
  };
}

/** n8n gives an optional field that nobody filled in as an empty text. */
function given(data: CredentialData, fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    fields.map((field) => [field, text(data, field)] as const).filter(([, value]) => value !== ''),
  );
}

/** Anything but a number goes to the engine as it is, which says what is wrong with it. */
function reuseGrace(data: CredentialData): { reuseGraceMs?: unknown } {
  const value = data['reuseGraceMs'];
  return value === undefined || value === '' || value === 0 ? {} : { reuseGraceMs: value };
}

function text(data: CredentialData, field: string): string {
  return secretText(data, field).trim();
}

/** Secrets stay as they were entered: spaces may belong to them. */
function secretText(data: CredentialData, field: string): string {
  const value = data[field];
  return typeof value === 'string' ? value : '';
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'unknown host';
}
