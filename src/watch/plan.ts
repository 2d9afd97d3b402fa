import type { CredentialSummary } from '../client.ts';
import { stableFraction } from '../lifecycle/policy.ts';
import type { TestResult } from '../protocols/protocol.ts';
import type { ListedCredential } from '../protocols/n8n/response.ts';

const DAY_MS = 86_400_000;
/** A listing is cheap, and shows at once what somebody corrected in n8n. */
const LONGEST_LOOK_MS = 300_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 900_000;

/** Credential types of this package: the engine keeps what is behind them. A test holds it against package.json. */
const OWN_TYPE = /^(lifecycle[A-Z]\w*|managedCredentialApi|credentialLifecycleAccessApi)$/;

export function isOwnType(type: string): boolean {
  return OWN_TYPE.test(type);
}

/** What is known of a watched credential here. */
export type Known = Pick<CredentialSummary, 'id' | 'health' | 'healthChangedAt'> & {
  readonly lastTest: Pick<TestResult, 'testedAt'> | null;
};

/**
 * Whether to have n8n test it now: once a period, up to a tenth earlier so that tests spread, and at once when it was changed
 * in n8n. One that fails is asked for ever more rarely, up to a day apart: each test may be a failed login at its service.
 */
export function isTestDue(
  { id, health, healthChangedAt, lastTest }: Known,
  { changedAt }: Pick<ListedCredential, 'changedAt'>,
  { everyMs, now }: { readonly everyMs: number; readonly now: Date },
): boolean {
  if (lastTest === null) return true;
  const { testedAt } = lastTest;
  if (changedAt !== null && changedAt > testedAt && changedAt <= now) return true;
  const sinceMs = now.getTime() - testedAt.getTime();
  // In the future: the clock was set back.
  if (sinceMs < 0) return true;
  const failingForMs = health === 'failing' && healthChangedAt ? testedAt.getTime() - healthChangedAt.getTime() : 0;
  const periodMs = Math.max(everyMs, Math.min(failingForMs, DAY_MS));
  return sinceMs >= periodMs * (1 - 0.1 * stableFraction(id));
}

/** How long to wait before n8n is looked at again. @param failures in a row in which n8n could not be asked */
export function nextLookMs(everyMs: number, failures: number): number {
  const lookMs = Math.min(everyMs, LONGEST_LOOK_MS);
  if (failures === 0) return lookMs;
  return Math.max(lookMs, Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10), LONGEST_PAUSE_MS));
}
