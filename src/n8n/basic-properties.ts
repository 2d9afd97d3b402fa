import type { INodeProperties } from 'n8n-workflow';
import {
  advancedField,
  advancedSwitch,
  generationMarker,
  notice,
  numberField,
  secretField,
  textField,
} from './properties.ts';

/** Fields of `lifecycleBasicApi`. The names are those of the engine's configuration (docs/basic.md). */
export const basicProperties: INodeProperties[] = [
  textField('User Name', 'username', 'Sent with each request (RFC 7617). It cannot hold a colon.', { required: true }),
  secretField('Password', 'password', 'Sealed in the engine, sent with each request', { required: true }),
  textField(
    'Test URL',
    'testUrl',
    'Any resource that answers otherwise without the password. One request there proves the password; without it the password is taken as it is, and the test says so.',
    { placeholder: 'https://legacy.example.com/whoami' },
  ),
  advancedSwitch,
  advancedField(
    textField(
      'Test Status Codes',
      'testStatus',
      'Answers of the test URL that mean "good", separated by commas. Leave it empty for 200 to 299. 401 and 403 always mean "refused".',
      { placeholder: '200,204' },
    ),
  ),
  advancedField(
    textField(
      'Test Body Includes',
      'testBodyIncludes',
      'What the answer of the test URL must hold besides: some services greet everybody with 200 and a login page',
    ),
  ),
  advancedField(
    numberField(
      'Maximum Password Age (Days)',
      'maxPasswordAgeDays',
      'After so many days the password counts as expired: its owner is warned before, and the test fails then. 0 for no limit.',
      [0, 0, 3_650],
    ),
  ),
  advancedField({
    displayName: 'Password Set At',
    name: 'passwordSetAt',
    type: 'dateTime',
    default: '',
    description: 'From when the age counts. Leave it empty for the moment at which the credential is first used here.',
  }),
  advancedField(
    textField(
      'Rotation Webhook URL',
      'rotationWebhookUrl',
      'What is asked to replace the password when the credential is rotated. Leave it empty if nothing can.',
    ),
  ),
  advancedField(
    secretField('Webhook Secret', 'webhookSecret', 'Signs what is sent to the rotation webhook: 16 characters or more'),
  ),
  advancedField({
    displayName: 'Allow Insecure Transport',
    name: 'allowInsecureTransport',
    type: 'boolean',
    default: false,
    description: 'Whether the test URL and the rotation webhook may be http:// instead of https://',
  }),
  advancedField(
    notice(
      'insecureTransportNotice',
      'INSECURE: the password travels readable for everyone on the way. Only for a server on this machine.',
    ),
    { allowInsecureTransport: [true] },
  ),
  generationMarker,
];
