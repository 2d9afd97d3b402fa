import type { SecretPart } from './secret-input.ts';

const CLIENT_SECRET: SecretPart = { name: 'clientSecret', question: 'Client secret' };
const GRANT_PARTS: Readonly<Record<string, SecretPart>> = {
  refresh_token: { name: 'refreshToken', question: 'Refresh token' },
  token_exchange: { name: 'subjectToken', question: 'Subject token' },
  jwt_bearer: { name: 'assertionKey', question: 'Private key' },
};
const PASSWORD: SecretPart = { name: 'password', question: 'Password' };
const STANDBY_PASSWORD: SecretPart = { name: 'standbyPassword', question: 'Password of the standby account' };
const ROTATOR_PASSWORD: SecretPart = { name: 'rotatorPassword', question: 'Password of the account that resets it' };
const WEBHOOK_SECRET: SecretPart = { name: 'webhookSecret', question: 'Secret that signs to the webhook' };

/** What a person is asked for: the parts of the secret that this configuration needs, the first of which may stand alone. */
export function secretPartsOf(protocol: string, config: Readonly<Record<string, unknown>>): readonly SecretPart[] {
  switch (protocol) {
    case 'ldap': {
      if (config['rotatorDn'] !== undefined) return [PASSWORD, ROTATOR_PASSWORD];
      return config['standbyBindDn'] === undefined ? [PASSWORD] : [PASSWORD, STANDBY_PASSWORD];
    }
    case 'basic':
      return config['rotationWebhookUrl'] === undefined ? [PASSWORD] : [PASSWORD, WEBHOOK_SECRET];
    default:
      return oauth2Parts(config);
  }
}

function oauth2Parts({ grantType, clientAuthentication }: Readonly<Record<string, unknown>>): readonly SecretPart[] {
  const own = typeof grantType === 'string' ? GRANT_PARTS[grantType] : undefined;
  const client = clientAuthentication === 'none' ? [] : [clientPart(clientAuthentication)];
  return own === undefined ? client : [...client, own];
}

function clientPart(clientAuthentication: unknown): SecretPart {
  return clientAuthentication === 'private_key_jwt' ? { name: 'clientKey', question: 'Private key' } : CLIENT_SECRET;
}
