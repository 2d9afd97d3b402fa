import { awaitOptionsFrom, outcomeItem } from '../../../../src/n8n/device-authorization.ts';
import { credentialIdOf, credentialLocator, type Operation } from '../operation.ts';

/** Waits for the end of a sign-in. Needs the scope authorize. */
export const waitOperation: Operation = {
  option: {
    name: 'Wait',
    value: 'wait',
    action: 'Wait for a device authorization',
    description:
      'Waits until the person has signed in or refused, the code has expired, or the limit is reached, and returns which of them. Needs the scope authorize.',
  },
  properties: [
    credentialLocator,
    {
      displayName: 'Authorization ID',
      name: 'authorizationId',
      type: 'string',
      required: true,
      default: '={{ $json.authorizationId }}',
      description: 'The ID that the operation Start returned. It may be waited for again, also after a restart of n8n.',
    },
    {
      displayName: 'Limit (Minutes)',
      name: 'limitMinutes',
      type: 'number',
      typeOptions: { minValue: 0 },
      default: 15,
      description:
        'How long to wait at most; then the status is "waiting". The other side is asked at its own pace, and once at least.',
    },
  ],
  run: async (call) => {
    const { context, itemIndex, operator } = call;
    const authorizationId: unknown = context.getNodeParameter('authorizationId', itemIndex, '');
    const limitMinutes: unknown = context.getNodeParameter('limitMinutes', itemIndex, 15);
    const options = awaitOptionsFrom(limitMinutes, context.getExecutionCancelSignal());
    const named = typeof authorizationId === 'string' ? authorizationId.trim() : '';
    return [outcomeItem(await operator.awaitAuthorization(credentialIdOf(call), named, options))];
  },
};
