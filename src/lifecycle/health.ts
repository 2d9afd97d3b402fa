import { errorOfCode, isCredentialError } from '../errors.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { lifecycleStateOf, type CredentialRecord, type Health } from './credential.ts';
import { driverInput, eventsOf, openRecord, requireRecord, revised, settledAt, type Surroundings } from './effects.ts';
import type { EventType } from './events.ts';
import type { Settled } from './machine.ts';
import { isAlive } from './policy.ts';

/** Tests the record's grant against the other side. What is wrong with the credential is a result, not an error. */
export async function testRecord(
  surroundings: Surroundings,
  record: CredentialRecord,
  signal: AbortSignal,
): Promise<TestResult> {
  const { clock } = surroundings.ports;
  if (isRevoked(record) || !isAlive(record, clock.now())) return failedTest(surroundings, record);
  try {
    const opened = await openRecord(surroundings, record);
    return await opened.driver.test(driverInput(opened, signal));
  } catch (error) {
    if (!isCredentialError(error)) throw error;
    return testResult(surroundings, record, error.describe());
  }
}

function isRevoked(record: CredentialRecord): boolean {
  return lifecycleStateOf(record.state) === 'revoked';
}

function failedTest(surroundings: Surroundings, record: CredentialRecord): TestResult {
  const { failure } = record;
  if (failure === null && record.state === 'pending.authorizing')
    return testResult(surroundings, record, 'Nobody has signed in yet. [ERR_CREDENTIAL_NOT_AUTHORIZED]');
  if (isRevoked(record))
    return testResult(surroundings, record, 'This credential was revoked. [ERR_CREDENTIAL_REVOKED]');
  const message = failure
    ? errorOfCode(failure.code, failure.message).describe()
    : 'The credential has no usable grant.';
  return testResult(surroundings, record, message);
}

function testResult({ ports, drivers }: Surroundings, record: CredentialRecord, message: string): TestResult {
  return {
    success: false,
    message,
    details: {
      latencyMs: 0,
      endpoint: drivers.driver(record.protocol).endpoint(record.config),
      permissionsVerified: [],
      metadata: {},
    },
    testedAt: ports.clock.now(),
  };
}

/** Writes the health that a test showed; an event tells of a change. */
export async function recordTest(surroundings: Surroundings, id: string, result: TestResult): Promise<Settled> {
  const { records, ports } = surroundings;
  const health: Health = result.success ? 'healthy' : 'failing';
  for (;;) {
    const record = await requireRecord(surroundings, id);
    if (record.health === health || isRevoked(record)) return settledAt(record);
    const next = revised(record, { health }, ports.clock.now());
    const events = eventsOf(changeEvents(record.health, health), next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events }))
      return settledAt(next, events);
  }
}

function changeEvents(before: Health, after: Health): EventType[] {
  if (after === 'failing') return ['health.failed'];
  return before === 'failing' ? ['health.recovered'] : [];
}
