import { requireOneTry } from '../../../src/n8n/directory.ts';
import { proveOnce } from '../../../src/n8n/directory-login.ts';
import { authenticationItem } from '../../../src/n8n/directory-output.ts';
import { abortable, textOf, type Operation } from './operation.ts';

const SHOWN = { show: { operation: ['authenticate'] } };
const DESCRIPTION =
  'Proves the password of a person by one bind, which is never repeated. A refusal is an answer and no error.';

/** Proves the password of a person. */
export const authenticateOperation: Operation = {
  option: {
    name: 'Authenticate',
    value: 'authenticate',
    action: 'Authenticate a user',
    description: DESCRIPTION,
    displayOptions: { hide: { '@tool': [true] } },
  },
  properties: [
    {
      displayName: 'User Name',
      name: 'username',
      type: 'string',
      required: true,
      default: '',
      description: 'Of the person who wants to log in, as the credential says how people log in',
      placeholder: '={{ $json.body.username }}',
      displayOptions: SHOWN,
    },
    {
      displayName: 'Password',
      name: 'password',
      type: 'string',
      typeOptions: { password: true },
      required: true,
      default: '',
      description:
        'Take it from the item by an expression. It is in no output of this node; a blank one is refused here.',
      placeholder: '={{ $json.body.password }}',
      displayOptions: SHOWN,
    },
  ],
  require: requireOneTry,
  run: async (call) => {
    const entered = { username: textOf(call, 'username'), password: textOf(call, 'password') };
    const options = { refusals: call.refusals, ...abortable(call) };
    return [authenticationItem(await proveOnce(call.directory, entered, options))];
  },
};
