import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { NodeApiError, NodeOperationError, type INode } from 'n8n-workflow';
import { ConfigurationError, ERROR_CATALOGUE, isErrorCode, errorOfCode, TransientError } from '../../src/errors.ts';
import { describeError, failedItem, toHostError, toNodeError, toTriggerError } from '../../src/n8n/errors.ts';

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

/** n8n's own list, in `NodeError` of n8n-workflow. */
const REPLACED = [
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'ERRADDRINUSE',
  'EADDRNOTAVAIL',
  'ECONNABORTED',
].concat('EHOSTUNREACH', 'EAI_AGAIN', 'ENOENT', 'EISDIR', 'ENOTDIR', 'EACCES', 'EEXIST', 'EPERM', 'GETADDRINFO');

describe('a message with a network code, which n8n would replace by a sentence of its own', () => {
  const wrapped = (error: unknown) => {
    const { message, description } = toHostError(error);
    return new NodeApiError(NODE, { message, description: description ?? '' });
  };

  it.each(REPLACED)('keeps its sentence and our code: %s', (network) => {
    const message = `auth.example.com cannot be reached (${network}).`;
    // So that the test notices when n8n leaves one of them alone.
    expect(new NodeApiError(NODE, { message }).message).not.toContain('auth.example.com');
    const away = new TransientError('ERR_ENDPOINT_UNREACHABLE', message);
    const wrong = new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', message);
    for (const error of [
      toNodeError(NODE, away, 0),
      toNodeError(NODE, wrong, 0),
      toTriggerError(NODE, away),
      wrapped(away),
    ]) {
      expect(error.message).toMatch(/^auth\.example\.com cannot be reached \([a-z ]+\)\. \[ERR_[A-Z0-9_]+\]$/);
    }
  });

  it('keeps a name that happens to hold one', () => {
    const named = new TransientError('ERR_ENDPOINT_UNREACHABLE', 'codeperm.example cannot be reached.');
    const { message } = toNodeError(NODE, named, 0);
    expect(message.replaceAll('\u2060', '')).toBe('codeperm.example cannot be reached. [ERR_ENDPOINT_UNREACHABLE]');
  });

  it('is not needed for any code of ours', () => {
    for (const code of Object.keys(ERROR_CATALOGUE).filter(isErrorCode)) {
      expect(toNodeError(NODE, errorOfCode(code, 'It failed.'), 0).message).toBe(`It failed. [${code}]`);
    }
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
