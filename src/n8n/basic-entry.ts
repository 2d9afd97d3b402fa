import type { AdoptedEntry } from '../client.ts';
import { given, hostOf, secretText, switchedOn, text, type CredentialData } from './form-values.ts';

/** The registration of the values of *Basic Auth (Lifecycle)*. @param name for people; default: user and host of the test URL. */
export function basicEntry(data: CredentialData, name?: string): AdoptedEntry {
  const isAdvanced = data['advanced'] === true;
  const testUrl = text(data, 'testUrl');
  const at = testUrl === '' ? '' : ` at ${hostOf(testUrl)}`;
  return {
    name: name ?? `${text(data, 'username')}${at}`,
    protocol: 'basic',
    config: {
      username: text(data, 'username'),
      ...given(data, ['testUrl']),
      ...(isAdvanced && advancedSettings(data)),
    },
    secret: {
      password: secretText(data, 'password'),
      ...(isAdvanced && secrets(data)),
    },
  };
}

function advancedSettings(data: CredentialData): Record<string, unknown> {
  const days = data['maxPasswordAgeDays'];
  return {
    ...(text(data, 'testUrl') !== '' && { ...statusRule(data), ...given(data, ['testBodyIncludes']) }),
    ...(days !== undefined && days !== '' && days !== 0 && { maxPasswordAgeDays: days }),
    ...given(data, ['rotationWebhookUrl']),
    ...switchedOn(data, ['allowInsecureTransport']),
  };
}

function secrets(data: CredentialData): Record<string, string> {
  const setAt = text(data, 'passwordSetAt');
  const webhookSecret = secretText(data, 'webhookSecret');
  return {
    ...(setAt !== '' && { passwordSetAt: instantText(setAt) }),
    ...(text(data, 'rotationWebhookUrl') !== '' && webhookSecret !== '' && { webhookSecret }),
  };
}

/** A date without a zone, as a date picker gives it, is taken for UTC. */
function instantText(entered: string): string {
  const instant = new Date(/(?:Z|[+-]\d\d:?\d\d)$/i.test(entered) ? entered : `${entered}Z`);
  return Number.isNaN(instant.getTime()) ? entered : instant.toISOString();
}

/** Numbers separated by commas. What is none goes on as text: the engine says what is wrong with it. */
function statusRule(data: CredentialData): { testStatus?: readonly unknown[] } {
  const entered = text(data, 'testStatus');
  if (entered === '') return {};
  const statuses = entered.split(',').map((part) => part.trim());
  return { testStatus: statuses.map((status) => (/^\d{1,4}$/.test(status) ? Number(status) : status)) };
}
