import { createHash } from 'node:crypto';
import { canonicalJson } from '../json.ts';
import { lifecycleStateOf, type CredentialRecord, type Health } from '../lifecycle/credential.ts';
import { eventsOf, requireRecord, revised, settledAt, type Surroundings } from '../lifecycle/effects.ts';
import type { EventType } from '../lifecycle/events.ts';
import { plannedTestAt, type HealthRules } from '../lifecycle/health-policy.ts';
import type { Settled } from '../lifecycle/machine.ts';
import type { TestResult } from '../protocols/protocol.ts';
import type { ExecutedTest } from './test-executor.ts';

/** Names the settings and the secret of a record: another text for others. */
export function configVersionOf({ config, registered }: Pick<CredentialRecord, 'config' | 'registered'>): string {
  return createHash('sha256')
    .update(canonicalJson([config, registered.generation]))
    .digest('hex')
    .slice(0, 32);
}

/** Keeps the result for those who ask for the last one. */
export async function keepTest({ records }: Surroundings, tested: CredentialRecord, result: TestResult): Promise<void> {
  const { id: credentialId, generation } = tested;
  await records.putTest({ credentialId, generation, configVersion: configVersionOf(tested), result });
}

/**
 * Writes what a test showed: the result for those who ask within the next 5 minutes, the health with an event of its change,
 * and when to test next. A login that failed is not tested again by itself.
 */
export async function recordTest(
  surroundings: Surroundings,
  tested: CredentialRecord,
  { result, code, isLogin }: ExecutedTest,
  rules: HealthRules,
): Promise<Settled> {
  const { records, ports } = surroundings;
  const { id: credentialId } = tested;
  await keepTest(surroundings, tested, result);
  const health: Health = result.success ? 'healthy' : 'failing';
  const mayRepeat = result.success || !isLogin || code === 'ERR_ENDPOINT_UNREACHABLE';
  for (;;) {
    const record = await requireRecord(surroundings, credentialId);
    if (lifecycleStateOf(record.state) === 'revoked') return settledAt(record);
    const testDueAt = mayRepeat ? plannedTestAt(record, rules, result.testedAt) : null;
    if (record.health === health && record.testDueAt?.getTime() === testDueAt?.getTime()) return settledAt(record);
    const next = revised(record, { health, testDueAt }, ports.clock.now());
    const events = eventsOf(changeEvents(record.health, health), next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events }))
      return settledAt(next, events);
  }
}

function changeEvents(before: Health, after: Health): EventType[] {
  if (before === after) return [];
  if (after === 'failing') return ['health.failed'];
  return before === 'failing' ? ['health.recovered'] : [];
}
