import type { OAuth2Config } from './config.ts';
import { profileOf } from './profile.ts';

/** What a sign-in asks for: as the owner entered it, and what else its provider needs to give a refresh token. */
export interface SignInParameters {
  readonly scope: string | undefined;
  /** For the authorization request alone, beside those of the standards. */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * A missing scope is added where a profile knows that the server has it; servers refuse the scopes that they do not know. A
 * scope that was left out altogether stays out, because the server's default may hold more than one name. OpenID Connect Core
 * §11 wants `prompt=consent` with `offline_access`; without a profile that is what is known. What the owner entered wins.
 */
export function signInParametersOf(
  config: Pick<OAuth2Config, 'profile' | 'scope' | 'authorizationParameters'>,
): SignInParameters {
  const { profile: name = 'generic', scope, authorizationParameters: entered } = config;
  const needs = profileOf(name).refreshTokenNeeds;
  const [wanted, ...others] = needs?.scopes ?? [];
  const names = new Set(scope?.split(' '));
  const has = wanted === undefined || [wanted, ...others].some((one) => names.has(one));
  const adds = !has && name !== 'generic' && scope !== undefined;
  const known = has || adds ? needs?.authorizationParameters : {};
  return { scope: adds ? `${scope} ${wanted}` : scope, parameters: { ...known, ...entered } };
}
