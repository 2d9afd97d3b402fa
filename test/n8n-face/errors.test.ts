import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { NodeApiError, NodeOperationError, type INode } from 'n8n-workflow';
import { ConfigurationError, TransientError } from '../../src/errors.ts';
import { describeError, failedItem, toHostError, toNodeError } from '../../src/n8n/errors.ts';

const NODE: INode = {
  id: '1',
  name: 'Credential Lifecycle',
  type: 'credentialLifecycle',
  typeVersion: 1,
  position: [0, 0],
  parameters: {},
};
const CANARY = 'canary-9e107d9d372bb682';

const refused = new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', 'auth.example.com refused the token request.');
const down = new TransientError('ERR_ENDPOINT_UNREACHABLE', 'auth.example.com cannot be reached.');

describe('an error of a node', () => {
  it('is an operation error when somebody here has to act', () => {
    const error = toNodeError(NODE, refused, 3);
    expect(error).toBeInstanceOf(NodeOperationError);
    expect(error).toMatchObject({
      message: 'auth.example.com refused the token request. [ERR_OAUTH2_INVALID_CLIENT]',
      description: refused.action,
      context: { itemIndex: 3 },
    });
  });

  it('is an API error when the other side failed', () => {
    const error = toNodeError(NODE, down, 0);
    expect(error).toBeInstanceOf(NodeApiError);
    expect(error).toMatchObject({
      message: 'auth.example.com cannot be reached. [ERR_ENDPOINT_UNREACHABLE]',
      description: down.action,
      context: { itemIndex: 0 },
      httpCode: null,
    });
  });
});

describe('an error of a credential type', () => {
  it('keeps both texts when n8n wraps it', () => {
    const { message, description } = toHostError(refused);
    const wrapped = new NodeApiError(NODE, { message, description: description ?? '' });
    expect(wrapped.message).toContain('[ERR_OAUTH2_INVALID_CLIENT]');
    expect(wrapped).toMatchObject({ description: refused.action, httpCode: null });
  });
});

type Translate = (error: unknown) => unknown;
const asHostError: Translate = (error) => toHostError(error);

describe('an error with a secret in it', () => {
  const leaking = Object.assign(new Error(`the answer was ${CANARY}`), {
    cause: new Error(CANARY),
    response: { data: { access_token: CANARY } },
  });

  it.each([
    ['as a node error', (error: unknown) => toNodeError(NODE, error, 0)],
    ['as an error of a credential type', asHostError],
    ['as an item', failedItem],
    ['as the answer of a test', describeError],
  ])('loses it %s', (_how, translate: Translate) => {
    const translated = translate(leaking);
    expect(inspect(translated, { depth: Infinity, showHidden: true })).not.toContain(CANARY);
    expect(JSON.stringify(translated)).not.toContain(CANARY);
    expect(inspect(translated)).toContain('ERR_INTERNAL');
  });
});

it('gives a failed item sentence, code and what to do', () => {
  expect(failedItem(refused)).toEqual({
    error: refused.message,
    code: 'ERR_OAUTH2_INVALID_CLIENT',
    action: refused.action,
  });
});
