import type { INodeProperties } from 'n8n-workflow';
import { generationMarker } from './properties.ts';

const ADVANCED = { show: { advanced: [true] } };

const grant: INodeProperties[] = [
  {
    displayName: 'Grant Type',
    name: 'grantType',
    type: 'options',
    options: [
      { name: 'Client Credentials', value: 'client_credentials', description: 'The client acts for itself' },
      {
        name: 'Refresh Token',
        value: 'refresh_token',
        description: 'A person authorized the client, and there is a refresh token',
      },
    ],
    default: 'client_credentials',
  },
  {
    displayName: 'Endpoints From',
    name: 'endpointSource',
    type: 'options',
    options: [
      { name: 'Issuer', value: 'issuer', description: 'The authorization server publishes its endpoints' },
      { name: 'Token Endpoint', value: 'tokenEndpoint', description: 'The endpoint is entered here' },
    ],
    default: 'issuer',
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
    displayOptions: { show: { endpointSource: ['tokenEndpoint'] } },
  },
];

const client: INodeProperties[] = [
  { displayName: 'Client ID', name: 'clientId', type: 'string', required: true, default: '' },
  {
    displayName: 'Client Secret',
    name: 'clientSecret',
    type: 'string',
    typeOptions: { password: true },
    required: true,
    default: '',
  },
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
  {
    displayName: 'Client Authentication',
    name: 'clientAuthentication',
    type: 'options',
    options: [
      { name: 'Basic Authentication Header', value: 'client_secret_basic' },
      { name: 'Request Body', value: 'client_secret_post' },
    ],
    default: 'client_secret_basic',
    description: 'How client ID and client secret are sent to the authorization server',
  },
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
  url('Introspection Endpoint', 'introspectionEndpoint', 'Says whether a token is active (RFC 7662)'),
  url('Userinfo Endpoint', 'userinfoEndpoint', 'Answers 401 to a token that is not accepted any more'),
  url(
    'Test URL',
    'testUrl',
    'Any resource that answers 2xx to a good token and 401 to a bad one. Also used by the test.',
  ),
];

const dangerous: INodeProperties[] = [
  url('Revocation Endpoint', 'revocationEndpoint', 'Ends the grant at the authorization server (RFC 7009)'),
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
  ...dangerous,
  generationMarker,
];

function url(displayName: string, name: string, description: string): INodeProperties {
  return { displayName, name, type: 'string', default: '', description, displayOptions: ADVANCED };
}
