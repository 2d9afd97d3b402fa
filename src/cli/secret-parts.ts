import type { SecretPart } from './secret-input.ts';

const CLIENT_SECRET: SecretPart = { name: 'clientSecret', question: 'Client secret' };
const REFRESH_TOKEN: SecretPart = { name: 'refreshToken', question: 'Refresh token' };
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
      return config['grantType'] === 'refresh_token' ? [CLIENT_SECRET, REFRESH_TOKEN] : [CLIENT_SECRET];
  }
}
