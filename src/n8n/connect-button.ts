import type { IDataObject } from 'n8n-workflow';
import type { CredentialHandle, EngineClient } from '../client.ts';
import { ReauthorizationRequiredError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import type { Material } from '../protocols/protocol.ts';
import { openedClient } from './engine-registry.ts';
import { toHostError } from './errors.ts';
import { hostOf, secretText, text, type CredentialData } from './form-values.ts';
import { RejectedAnswers } from './rejected-answers.ts';

/** A status that no answer has. n8n refreshes a token by itself when an API answers with the status that is set here. */
const NEVER = -1;

/**
 * The hook of a credential type that extends n8n's `oAuth2Api`. n8n calls it before every request with the values as they are
 * stored, and goes on with what it returns, which is not stored.
 *
 * The engine takes over the refresh token that n8n's own sign-in brought, and keeps the newest one from then on. n8n gets an
 * access token for one request, no refresh token, and no status at which to refresh: so it never presents the one in its
 * database again, which is spent. `docs/n8n-watch.md` says how that was measured.
 *
 * n8n tells a hook of this kind of no failure, so an answer 401 is noticed in this process: what was reported by then is dealt with
 * before the next request gets its token.
 */
export function takeOverFromHost(
  client: () => Promise<EngineClient> = openedClient,
  rejected = new RejectedAnswers(),
): (data: CredentialData) => Promise<IDataObject> {
  return async (data) => {
    try {
      const handle = await takenOver(await client(), data);
      await rejected.settled(handle.id);
      const material = await handle.use({ usedBy: { kind: 'n8n', id: 'lifecycleConnectOAuth2Api' } });
      rejected.watch(material.headers['authorization'] ?? '', handle, material.generation);
      return { oauthTokenData: tokenData(material), tokenExpiredStatusCode: NEVER };
    } catch (error) {
      throw toHostError(error);
    }
  };
}

/** @throws ReauthorizationRequiredError `ERR_CREDENTIAL_NOT_AUTHORIZED`, `ERR_OAUTH2_NO_REFRESH_TOKEN` */
function takenOver(client: EngineClient, data: CredentialData): Promise<CredentialHandle> {
  const { oauthTokenData: stored } = data;
  if (!isPlainObject(stored) || Object.keys(stored).length === 0) {
    throw new ReauthorizationRequiredError(
      'ERR_CREDENTIAL_NOT_AUTHORIZED',
      'Nobody has signed in yet: press the connect button of this credential in n8n.',
    );
  }
  const { refresh_token: refreshToken } = stored;
  if (typeof refreshToken !== 'string' || refreshToken === '') {
    throw new ReauthorizationRequiredError(
      'ERR_OAUTH2_NO_REFRESH_TOKEN',
      'The sign-in in n8n brought no refresh token: connect again, with the scope that the provider wants for one.',
    );
  }
  const clientSecret = secretText(data, 'clientSecret');
  return client.adopted({
    name: `${text(data, 'clientId')} at ${hostOf(text(data, 'accessTokenUrl'))}, connected in n8n`,
    protocol: 'oauth2',
    config: {
      tokenEndpoint: text(data, 'accessTokenUrl'),
      grantType: 'refresh_token',
      clientId: text(data, 'clientId'),
      clientAuthentication: clientAuthenticationOf(data),
      ...(data['allowInsecureTransport'] === true && { allowInsecureTransport: true }),
    },
    secret: { refreshToken, ...(clientSecret !== '' && { clientSecret }) },
  });
}

function clientAuthenticationOf(data: CredentialData): string {
  if (secretText(data, 'clientSecret') === '') return 'none';
  return text(data, 'authentication') === 'body' ? 'client_secret_post' : 'client_secret_basic';
}

/** The access token as n8n signs requests with it. */
function tokenData({ headers }: Material): IDataObject {
  const [scheme = '', token = ''] = (headers['authorization'] ?? '').split(' ');
  return { access_token: token, token_type: scheme };
}
