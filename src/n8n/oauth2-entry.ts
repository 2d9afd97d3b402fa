import type { AdoptedEntry } from '../client.ts';
import { given, hostOf, secretText, text, type CredentialData } from './form-values.ts';

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

/** Anything but a number goes to the engine as it is, which says what is wrong with it. */
function reuseGrace(data: CredentialData): { reuseGraceMs?: unknown } {
  const value = data['reuseGraceMs'];
  return value === undefined || value === '' || value === 0 ? {} : { reuseGraceMs: value };
}
