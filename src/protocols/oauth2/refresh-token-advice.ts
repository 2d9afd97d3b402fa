import type { OAuth2Config } from './config.ts';

/** How to get the refresh token that did not come, in plain words. */
export function refreshTokenAdvice({ scope = '', issuer }: Pick<OAuth2Config, 'scope' | 'issuer'>): string {
  const lead = 'The server gave no refresh token: somebody has to sign in again when the access token ends.';
  if (scope.split(' ').includes('offline_access')) {
    return `${lead} The scope offline_access was asked for; check that the client may have it, and consent to it.`;
  }
  const usual = issuer === undefined ? 'Servers' : 'OpenID Connect servers';
  return `${lead} ${usual} usually give one for the scope offline_access; add it to the scope and authorize again.`;
}
