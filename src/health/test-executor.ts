import { errorOfCode, isCredentialError, type CredentialError, type ErrorCode } from '../errors.ts';
import { lifecycleStateOf, type CredentialRecord } from '../lifecycle/credential.ts';
import { driverInput, openRecord, wait, type Opened, type Surroundings } from '../lifecycle/effects.ts';
import { isAlive } from '../lifecycle/policy.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { withDeadline } from './deadline.ts';

/** One test as it went. */
export interface ExecutedTest {
  readonly result: TestResult;
  /** Why it could not be made, or found nothing good; `null` when the other side answered it by itself. */
  readonly code: ErrorCode | null;
  readonly tries: number;
  /** A person has to look at it before a login is tried again. */
  readonly isLogin: boolean;
  /** It says something of the credential. */
  readonly isConclusive: boolean;
}

const TIMEOUT_MS = 30_000;
const TRIES = 3;
const PAUSE_MS = 500;

/** Failures that another try at once may not meet. Who asks for fewer requests is not asked again. */
const PASSING: readonly ErrorCode[] = [
  'ERR_ENDPOINT_UNREACHABLE',
  'ERR_ENDPOINT_CONNECTION_LOST',
  'ERR_ENDPOINT_TIMEOUT',
  'ERR_ENDPOINT_UNAVAILABLE',
];
/** The one among them in which certainly nothing was presented. */
const NOT_SENT: ErrorCode = 'ERR_ENDPOINT_UNREACHABLE';

/**
 * Tests the record's grant against the other side: 30 s for each try, three tries where the failure is a passing one by its
 * code. A test that is a login is repeated only when it certainly never left. What is wrong with the credential is a result.
 */
export async function executeTest(surroundings: Surroundings, record: CredentialRecord): Promise<ExecutedTest> {
  const { clock } = surroundings.ports;
  const driver = surroundings.drivers.driver(record.protocol);
  const { isLogin, asksAnother = false } = driver.testTraits?.(record.config) ?? { isLogin: true };
  const isConclusive = !asksAnother;
  if (isRevoked(record) || !isAlive(record, clock.now()))
    return { ...unusable(surroundings, record), isLogin, isConclusive };
  for (let tries = 1; ; tries += 1) {
    try {
      const opened = await openRecord(surroundings, record);
      const result = await tryOnce(surroundings, opened);
      return { result, code: null, tries, isLogin, isConclusive: result.inconclusive !== true };
    } catch (error) {
      if (!isCredentialError(error)) throw error;
      const again = isLogin ? error.code === NOT_SENT : PASSING.includes(error.code);
      if (!again || tries === TRIES) return { ...failed(surroundings, record, error), tries, isLogin, isConclusive };
    }
    await wait(surroundings.ports, PAUSE_MS * 2 ** (tries - 1), new AbortController().signal);
  }
}

function tryOnce({ ports }: Surroundings, opened: Opened): Promise<TestResult> {
  const { driver, record } = opened;
  const bounds = { ms: TIMEOUT_MS, what: `The test at ${driver.endpoint(record.config)}` };
  return withDeadline(ports.clock, bounds, (signal) => driver.test(driverInput(opened, signal)));
}

function isRevoked(record: CredentialRecord): boolean {
  return lifecycleStateOf(record.state) === 'revoked';
}

function unusable(
  surroundings: Surroundings,
  record: CredentialRecord,
): Omit<ExecutedTest, 'isLogin' | 'isConclusive'> {
  const { failure } = record;
  const error = isRevoked(record)
    ? errorOfCode('ERR_CREDENTIAL_REVOKED', 'This credential was revoked.')
    : failure
      ? errorOfCode(failure.code, failure.message)
      : record.state === 'pending.authorizing' &&
        errorOfCode('ERR_CREDENTIAL_NOT_AUTHORIZED', 'Nobody has signed in yet.');
  if (error) return { ...failed(surroundings, record, error), tries: 0 };
  const message = 'The credential has no usable grant.';
  const code = 'ERR_CREDENTIAL_NEEDS_USER';
  return { result: failedResult(surroundings, record, message, code), code, tries: 0 };
}

function failed(
  surroundings: Surroundings,
  record: CredentialRecord,
  error: CredentialError,
): Pick<ExecutedTest, 'result' | 'code'> {
  return { result: failedResult(surroundings, record, error.describe(), error.code), code: error.code };
}

function failedResult(
  { ports, drivers }: Surroundings,
  record: CredentialRecord,
  message: string,
  code: ErrorCode,
): TestResult {
  return {
    success: false,
    message,
    details: {
      latencyMs: 0,
      endpoint: drivers.driver(record.protocol).endpoint(record.config),
      permissionsVerified: [],
      metadata: { code },
    },
    testedAt: ports.clock.now(),
  };
}
