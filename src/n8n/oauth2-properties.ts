import type { INodeProperties } from 'n8n-workflow';
import { clientProof, grantFields, providerField } from './oauth2-grant-properties.ts';
import { generationMarker, textField } from './properties.ts';

const ADVANCED = { show: { advanced: [true] } };

const grant: INodeProperties[] = [
  {
    displayName: 'Grant Type',
    name: 'grantType',
    type: 'options',
    options: [
      { name: 'Client Credentials', value: 'client_credentials', description: 'The client acts for itself' },
      { name: 'JWT Bearer', value: 'jwt_bearer', description: 'An assertion is signed for each token (RFC 7523)' },
      {
        name: 'Refresh Token',
        value: 'refresh_token',
        description: 'A person authorized the client, and there is a refresh token',
      },
      { name: 'Token Exchange', value: 'token_exchange', description: 'A token is traded for another (RFC 8693)' },
    ],
    default: 'client_credentials',
    description:
      'How the token is got. For a person who signs in, register the credential with "credlife" and use a Managed Credential.',
  },
  providerField,
  {
    displayName: 'Endpoints From',
    name: 'endpointSource',
    type: 'options',
    options: [
      { name: 'Issuer', value: 'issuer', description: 'The authorization server publishes its endpoints' },
      { name: 'Provider', value: 'provider', description: 'What is known of the provider above' },
      { name: 'Token Endpoint', value: 'tokenEndpoint', description: 'The endpoint is entered here' },
    ],
    default: 'issuer',
    description: 'Where the endpoints of the authorization server are from',
  },
  {
    displayName: 'Issuer',
    name: 'issuer',
    type: 'string',
    required: true,
    default: '',
    placeholder: 'https://auth.example.com',
    description: 'Identifier of the authorization server. Its endpoints are discovered from here.',
    displayOptions: { show: { endpointSource: ['issuer'] } },
  },
  {
    displayName: 'Token Endpoint',
    name: 'tokenEndpoint',
    type: 'string',
    required: true,
    default: '',
    placeholder: 'https://auth.example.com/token',
    description: 'Where tokens are asked for. Nothing is discovered then.',
    displayOptions: { show: { endpointSource: ['tokenEndpoint'] } },
  },
];

const client: INodeProperties[] = [
  textField('Client ID', 'clientId', 'Names the client at the authorization server', { required: true }),
  ...clientProof,
  {
    displayName: 'Refresh Token',
    name: 'refreshToken',
    type: 'string',
    typeOptions: { password: true },
    required: true,
    default: '',
    description:
      'The one that the authorization server issued last. From then on the engine keeps the newest one itself; no other program may use this token any more.',
    displayOptions: { show: { grantType: ['refresh_token'] } },
  },
  {
    displayName: 'Scope',
    name: 'scope',
    type: 'string',
    default: '',
    placeholder: 'read write',
    description: 'Separated by spaces. Leave it empty for what the authorization server grants by default.',
  },
  ...grantFields,
];

const confirmation: INodeProperties[] = [
  {
    displayName:
      'When an API refuses a request, one of these endpoints is asked whether the token is still good. Without any of them, the token is refreshed at most once for a refused request.',
    name: 'confirmationNotice',
    type: 'notice',
    default: '',
    displayOptions: ADVANCED,
  },
  text('Introspection Endpoint', 'introspectionEndpoint', 'Says whether a token is active (RFC 7662)'),
  text('Userinfo Endpoint', 'userinfoEndpoint', 'Answers 401 to a token that is not accepted any more'),
  text(
    'Test URL',
    'testUrl',
    'Any resource that answers 2xx to a good token and 401 to a bad one. Also used by the test.',
  ),
];

const target: INodeProperties[] = [
  text('Resources', 'resources', 'Resource indicators (RFC 8707), separated by commas: what the token is for'),
  text('Audience', 'audience', 'The same for servers that call it so'),
  textField(
    'Client Assertion Audience',
    'clientAssertionAudience',
    '"aud" of what proves the client. Leave it empty for the issuer, or the token endpoint where there is none.',
    {
      displayOptions: {
        show: { advanced: [true], clientAuthentication: ['private_key_jwt', 'client_secret_jwt'] },
      },
    },
  ),
];

const dangerous: INodeProperties[] = [
  text('Revocation Endpoint', 'revocationEndpoint', 'Ends the grant at the authorization server (RFC 7009)'),
  {
    displayName: 'Reuse Grace (Milliseconds)',
    name: 'reuseGraceMs',
    type: 'number',
    typeOptions: { minValue: 0 },
    default: 0,
    description:
      'How long the authorization server still accepts a refresh token that was used already. Lets the engine heal a refresh whose answer was lost.',
    displayOptions: ADVANCED,
  },
  {
    displayName: 'Allow Insecure Transport',
    name: 'allowInsecureTransport',
    type: 'boolean',
    default: false,
    description: 'Whether http:// is accepted instead of https://',
    displayOptions: ADVANCED,
  },
  {
    displayName:
      'INSECURE: client secret and tokens travel readable and changeable for everyone on the way. Only for a server on this machine.',
    name: 'insecureTransportNotice',
    type: 'notice',
    default: '',
    displayOptions: { show: { advanced: [true], allowInsecureTransport: [true] } },
  },
];

/** Fields of `lifecycleOAuth2Api`. The names are those of the engine's configuration. */
export const oauth2Properties: INodeProperties[] = [
  ...grant,
  ...client,
  {
    displayName: 'Advanced',
    name: 'advanced',
    type: 'boolean',
    default: false,
    description: 'Whether to use the settings below. While this is off, they have no effect.',
  },
  ...confirmation,
  ...target,
  ...dangerous,
  generationMarker,
];

function text(displayName: string, name: string, description: string): INodeProperties {
  return textField(displayName, name, description, { displayOptions: ADVANCED });
}
