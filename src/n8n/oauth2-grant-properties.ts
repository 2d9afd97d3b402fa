import type { INodeProperties } from 'n8n-workflow';
import { field, secretField, textField } from './properties.ts';

const BY_EXCHANGE = { grantType: ['token_exchange'] };
const BY_ASSERTION = { grantType: ['jwt_bearer'] };
const BY_KEY = { clientAuthentication: ['private_key_jwt'] };
const BY_SECRET = {
  clientAuthentication: ['default', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt'],
};
const KEY = { placeholder: '-----BEGIN PRIVATE KEY-----' };
const TOKEN_TYPES = [
  { name: 'Access Token', value: 'urn:ietf:params:oauth:token-type:access_token' },
  { name: 'ID Token', value: 'urn:ietf:params:oauth:token-type:id_token' },
  { name: 'JWT', value: 'urn:ietf:params:oauth:token-type:jwt' },
  { name: 'Refresh Token', value: 'urn:ietf:params:oauth:token-type:refresh_token' },
  { name: 'SAML 2 Assertion', value: 'urn:ietf:params:oauth:token-type:saml2' },
];
const ALGORITHMS = ['Ed25519', 'ES256', 'ES384', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'];

/** Providers of which the engine knows more than the standards say (docs/providers.md). */
export const PROVIDERS: readonly (readonly [name: string, title: string])[] = [
  ['atlassian', 'Atlassian'],
  ['auth0', 'Auth0'],
  ['github-app', 'GitHub App'],
  ['google', 'Google'],
  ['hubspot', 'HubSpot'],
  ['keycloak', 'Keycloak'],
  ['microsoft-entra', 'Microsoft Entra'],
  ['okta', 'Okta'],
  ['salesforce', 'Salesforce'],
  ['slack', 'Slack'],
  ['xero', 'Xero'],
  ['zoho', 'Zoho'],
];

export const providerField: INodeProperties = {
  displayName: 'Provider',
  name: 'profile',
  type: 'options',
  options: [{ name: 'Any Other', value: '' }, ...PROVIDERS.map(([value, name]) => ({ name, value }))],
  default: '',
  description: 'Takes what is known of the provider: lives of tokens, limits, error codes. What is entered here wins.',
};

/** How the client proves itself, and with what. */
export const clientProof: INodeProperties[] = [
  {
    displayName: 'Client Authentication',
    name: 'clientAuthentication',
    type: 'options',
    options: [
      { name: 'Basic Authentication Header', value: 'client_secret_basic', description: 'Client ID and secret' },
      { name: 'JWT Signed With Private Key', value: 'private_key_jwt', description: 'No secret is sent (RFC 7523)' },
      { name: 'JWT Signed With Secret', value: 'client_secret_jwt', description: 'The secret itself is not sent' },
      { name: 'None', value: 'none', description: 'A public client, or a grant that proves everything' },
      { name: 'Request Body', value: 'client_secret_post', description: 'Client ID and secret' },
      { name: 'Usual One of the Provider', value: 'default', description: 'What is known of the provider above' },
    ],
    default: 'client_secret_basic',
    description: 'How the client proves itself to the authorization server',
  },
  field(
    secretField('Client Secret', 'clientSecret', 'Sealed in the engine; goes to the authorization server only', {
      required: true,
    }),
    BY_SECRET,
  ),
  field(
    secretField('Client Key', 'clientKey', 'The private key of the client, unencrypted, in PEM', {
      required: true,
      ...KEY,
    }),
    BY_KEY,
  ),
  field(
    textField('Client Key ID', 'clientKeyId', 'The "kid" by which the server knows the key, if it wants one'),
    BY_KEY,
  ),
  field(algorithmField('Client Key Algorithm', 'clientKeyAlgorithm'), BY_KEY),
];

/** What the grant types without a browser need besides. */
export const grantFields: INodeProperties[] = [
  field(
    secretField('Subject Token', 'subjectToken', 'The token that is traded, for as long as the server takes it', {
      required: true,
    }),
    BY_EXCHANGE,
  ),
  field(tokenTypeField('Subject Token Type', 'subjectTokenType', TOKEN_TYPES[0]?.value ?? ''), BY_EXCHANGE),
  field(secretField('Actor Token', 'actorToken', 'Who acts for the subject, if the server wants to know'), BY_EXCHANGE),
  field(tokenTypeField('Actor Token Type', 'actorTokenType', TOKEN_TYPES[0]?.value ?? ''), BY_EXCHANGE),
  field(
    textField('Requested Token Type', 'requestedTokenType', 'Leave it empty for what the server gives by itself', {
      placeholder: 'urn:ietf:params:oauth:token-type:access_token',
    }),
    BY_EXCHANGE,
  ),
  field(
    secretField('Assertion Key', 'assertionKey', 'Signs an assertion for each token request: a private key in PEM', {
      required: true,
      ...KEY,
    }),
    BY_ASSERTION,
  ),
  ...[
    textField('Assertion Subject', 'assertionSubject', 'For whom the token is ("sub"). Leave it empty for the issuer.'),
    textField('Assertion Issuer', 'assertionIssuer', 'Who signs ("iss"). Leave it empty for the client ID.'),
    textField('Assertion Audience', 'assertionAudience', 'Who is to read it ("aud"). Leave it empty for the server.'),
    textField('Assertion Key ID', 'assertionKeyId', 'The "kid" by which the server knows the key, if it wants one'),
    algorithmField('Assertion Algorithm', 'assertionAlgorithm'),
  ].map((property) => field(property, BY_ASSERTION)),
  field(
    {
      displayName: 'Assertion Claims',
      name: 'assertionClaims',
      type: 'json',
      default: '{}',
      description: 'Further claims with texts as values, for servers that want the scope in the assertion',
    },
    BY_ASSERTION,
  ),
];

function algorithmField(displayName: string, name: string): INodeProperties {
  return {
    displayName,
    name,
    type: 'options',
    options: [{ name: 'By the Kind of Key', value: '' }, ...ALGORITHMS.map((value) => ({ name: value, value }))],
    default: '',
    description: 'How the key signs: RS256, ES256, ES384 or Ed25519 by itself',
  };
}

function tokenTypeField(displayName: string, name: string, preset: string): INodeProperties {
  const description = 'What kind of token it is (RFC 8693 §3)';
  return { displayName, name, type: 'options', options: [...TOKEN_TYPES], default: preset, description };
}
