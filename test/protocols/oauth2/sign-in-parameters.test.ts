import type { ProfileName } from '../../../src/protocols/oauth2/profile.ts';
import { signInParametersOf } from '../../../src/protocols/oauth2/sign-in-parameters.ts';

type Asked = [string | undefined, Record<string, string>];
const OFFLINE = { access_type: 'offline', prompt: 'consent' };

it.each<[ProfileName | undefined, string | undefined, Record<string, string> | undefined, Asked]>([
  // Without a profile a scope is never invented: a server refuses what it does not know.
  [undefined, 'openid', undefined, ['openid', {}]],
  ['generic', 'openid', undefined, ['openid', {}]],
  [undefined, undefined, undefined, [undefined, {}]],
  [undefined, 'openid offline_access', undefined, ['openid offline_access', { prompt: 'consent' }]],
  [undefined, 'offline_access', { prompt: 'login' }, ['offline_access', { prompt: 'login' }]],
  ['google', 'openid', undefined, ['openid', OFFLINE]],
  ['google', 'openid', { access_type: 'online', hd: 'x' }, ['openid', { ...OFFLINE, access_type: 'online', hd: 'x' }]],
  ['microsoft-entra', 'User.Read', undefined, ['User.Read offline_access', {}]],
  ['microsoft-entra', 'User.Read offline_access', undefined, ['User.Read offline_access', {}]],
  // A scope that was left out altogether stays out.
  ['microsoft-entra', undefined, undefined, [undefined, {}]],
  ['salesforce', 'api', undefined, ['api refresh_token', {}]],
  ['salesforce', 'api offline_access', undefined, ['api offline_access', {}]],
  ['atlassian', 'read:me', undefined, ['read:me offline_access', { audience: 'api.atlassian.com', prompt: 'consent' }]],
  ['github-app', undefined, undefined, [undefined, {}]],
  ['hubspot', 'crm', undefined, ['crm', {}]],
])('%s with the scope %p and the parameters %p asks for %p', (profile, scope, authorizationParameters, asked) => {
  const { scope: askedScope, parameters } = signInParametersOf({ profile, scope, authorizationParameters });
  expect([askedScope, parameters]).toEqual(asked);
});
