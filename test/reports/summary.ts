import type { CredentialSummary } from '../../src/client.ts';
import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import { summaryOf } from '../../src/summary.ts';
import { aValidRecord, NOW, secondsAfter } from '../support/record.ts';

export { NOW };
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export function after(ms: number): Date {
  return secondsAfter(NOW, ms / 1_000);
}

/** The summary of a healthy credential with an hour's token, but for what is said. */
export function aSummary(overrides: Partial<CredentialRecord> = {}): CredentialSummary {
  return summaryOf(aValidRecord(3_600, { health: 'healthy', ...overrides }), 'as.example');
}
