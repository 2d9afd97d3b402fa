import type { CredentialEngine } from '../../../src/engine.ts';
import { Browser, type OidcServer } from '../../servers/oidc.ts';

export const REDIRECT_URI = 'http://127.0.0.1/callback';
export const CLIENT_SECRET = 'a client secret that is long enough for HS256';

/** Clients of people at an `OidcServer`. */
export const PEOPLES_CLIENTS = ['one', 'other'].map((clientId) => ({
  client_id: clientId,
  client_secret: CLIENT_SECRET,
  application_type: 'native',
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [REDIRECT_URI],
}));

export function personsEntry(server: OidcServer, overrides: { config?: object; tags?: string[] } = {}) {
  return {
    protocol: 'oauth2',
    name: 'Person',
    tags: overrides.tags ?? [],
    config: {
      issuer: server.issuer,
      grantType: 'authorization_code',
      clientId: 'one',
      scope: 'openid offline_access api',
      allowInsecureTransport: true,
      ...overrides.config,
    },
    secret: { clientSecret: CLIENT_SECRET },
    test: false,
  };
}

/** Begins a sign-in and lets a person go through it. Returns the URL that the browser was sent back to. */
export async function walkThrough(engine: Pick<CredentialEngine, 'authorize'>, id: string, session?: string) {
  const options = { redirectUri: REDIRECT_URI, ...(session !== undefined && { session }) };
  const authorization = await engine.authorize(id, options);
  if (authorization.kind !== 'redirect') throw new TypeError('expected a URL');
  return new Browser().signIn(authorization.url, REDIRECT_URI);
}

/** The callback with some of its parameters replaced; `null` takes one out. */
export function tampered(callbackUrl: string, changes: Record<string, string | null>): string {
  const url = new URL(callbackUrl);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}
