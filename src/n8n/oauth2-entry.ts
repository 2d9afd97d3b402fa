import type { AdoptedEntry } from '../client.ts';
import { isPlainObject } from '../json.ts';
import {
  given,
  givenSecrets,
  hostOf,
  listOf,
  pemText,
  secretText,
  switchedOn,
  text,
  type CredentialData,
} from './form-values.ts';

/** The registration of the values of *OAuth2 (Lifecycle)*. @param name for people; default: client and server. */
export function oauth2Entry(data: CredentialData, name?: string): AdoptedEntry {
  const server = serverOf(data);
  return {
    name: name ?? `${text(data, 'clientId')} at ${server.host}`,
    protocol: 'oauth2',
    config: {
      ...server.config,
      ...given(data, ['introspectionEndpoint', 'userinfoEndpoint', 'revocationEndpoint', 'testUrl', 'scope']),
      grantType: text(data, 'grantType'),
      clientId: text(data, 'clientId'),
      ...clientAuthenticationOf(data),
      ...grantSettings(data),
      ...targetOf(data),
      ...reuseGrace(data),
      ...switchedOn(data, ['allowInsecureTransport']),
    },
    secret: { ...clientSecretOf(data), ...grantSecrets(data) },
  };
}

/** Where the endpoints are from: two fields name them, or the provider's profile does. */
function serverOf(data: CredentialData): { readonly config: Record<string, string>; readonly host: string } {
  const source = text(data, 'endpointSource');
  const profile = given(data, ['profile']);
  if (source === 'provider') return { config: profile, host: text(data, 'profile') };
  const field = source === 'tokenEndpoint' ? 'tokenEndpoint' : 'issuer';
  return { config: { ...profile, [field]: text(data, field) }, host: hostOf(text(data, field)) };
}

/** `default` says nothing, so that the provider's profile does. */
function clientAuthenticationOf(data: CredentialData): Record<string, string> {
  const clientAuthentication = text(data, 'clientAuthentication');
  return {
    ...(clientAuthentication !== 'default' && { clientAuthentication }),
    ...(clientAuthentication === 'private_key_jwt' && given(data, ['clientKeyId', 'clientKeyAlgorithm'])),
    ...(/_jwt$/.test(clientAuthentication) && given(data, ['clientAssertionAudience'])),
  };
}

function clientSecretOf(data: CredentialData): Record<string, string> {
  switch (text(data, 'clientAuthentication')) {
    case 'none':
      return {};
    case 'private_key_jwt':
      return { clientKey: pemText(secretText(data, 'clientKey')) };
    default:
      return { clientSecret: secretText(data, 'clientSecret') };
  }
}

function grantSettings(data: CredentialData): Record<string, unknown> {
  switch (text(data, 'grantType')) {
    case 'token_exchange': {
      const actor = secretText(data, 'actorToken') === '' ? [] : ['actorTokenType'];
      return { tokenExchange: given(data, ['subjectTokenType', 'requestedTokenType', ...actor]) };
    }
    case 'jwt_bearer': {
      const assertion = { ...assertionNames(data), ...assertionClaims(data) };
      return Object.keys(assertion).length === 0 ? {} : { assertion };
    }
    default:
      return {};
  }
}

function grantSecrets(data: CredentialData): Record<string, string> {
  switch (text(data, 'grantType')) {
    case 'refresh_token':
      return { refreshToken: secretText(data, 'refreshToken') };
    case 'token_exchange':
      return { subjectToken: secretText(data, 'subjectToken'), ...givenSecrets(data, ['actorToken']) };
    case 'jwt_bearer':
      return { assertionKey: pemText(secretText(data, 'assertionKey')) };
    default:
      return {};
  }
}

/** The fields of the form are called `assertionSubject` and so on. */
function assertionNames(data: CredentialData): Record<string, string> {
  const names = ['issuer', 'subject', 'audience', 'keyId', 'algorithm'];
  const fieldOf = (name: string): string => `assertion${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return Object.fromEntries(
    names.map((name) => [name, text(data, fieldOf(name))] as const).filter(([, value]) => value !== ''),
  );
}

/** What is no JSON goes on as it is: the engine says what is wrong with it. */
function assertionClaims(data: CredentialData): { claims?: unknown } {
  const entered = text(data, 'assertionClaims');
  if (entered === '') return {};
  try {
    const claims: unknown = JSON.parse(entered);
    return isPlainObject(claims) && Object.keys(claims).length === 0 ? {} : { claims };
  } catch {
    return { claims: entered };
  }
}

function targetOf(data: CredentialData): Record<string, unknown> {
  const resources = listOf(data, 'resources');
  return { ...(resources !== null && { resources }), ...given(data, ['audience']) };
}

/** Anything but a number goes to the engine as it is, which says what is wrong with it. */
function reuseGrace(data: CredentialData): { reuseGraceMs?: unknown } {
  const value = data['reuseGraceMs'];
  return value === undefined || value === '' || value === 0 ? {} : { reuseGraceMs: value };
}
