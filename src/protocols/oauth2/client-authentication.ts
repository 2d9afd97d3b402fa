import * as client from 'openid-client';
import type { ClientTls } from '../../ports.ts';
import { signingKeyOf } from './client-key.ts';
import type { OAuth2Config, OAuth2Secret } from './config.ts';

/** How the client proves itself at the token endpoint. */
export function clientAuthenticationOf(
  config: OAuth2Config,
  secret: OAuth2Secret,
  server: client.ServerMetadata,
): client.ClientAuth {
  const { clientSecret = '' } = secret;
  const audience = config.clientAssertionAudience ?? (config.issuer === undefined ? server.token_endpoint : undefined);
  const options = {
    [client.modifyAssertion]: (_header: Record<string, unknown>, payload: Record<string, unknown>): void => {
      if (audience !== undefined) payload['aud'] = audience;
    },
  };
  switch (config.clientAuthentication) {
    case 'client_secret_basic':
      return client.ClientSecretBasic(clientSecret);
    case 'client_secret_post':
      return client.ClientSecretPost(clientSecret);
    case 'client_secret_jwt':
      return client.ClientSecretJwt(clientSecret, options);
    case 'private_key_jwt':
      return client.PrivateKeyJwt(privateKeyOf(config, secret), options);
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return client.TlsClientAuth();
    case 'none':
      return client.None();
  }
}

function privateKeyOf(config: OAuth2Config, secret: OAuth2Secret): client.PrivateKey {
  const { key } = signingKeyOf(secret.clientKey ?? '', config.clientKeyAlgorithm);
  return { key, ...(config.clientKeyId !== undefined && { kid: config.clientKeyId }) };
}

/** The certificate that the client shows in each handshake with the authorization server (RFC 8705), if it has one. */
export function clientTlsOf({ tlsCertificate, tlsKey }: OAuth2Secret): ClientTls | undefined {
  return tlsCertificate === undefined || tlsKey === undefined ? undefined : { cert: tlsCertificate, key: tlsKey };
}
