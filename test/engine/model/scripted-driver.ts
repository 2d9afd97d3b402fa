import type { JsonObject } from '../../../src/json.ts';
import type {
  AuthorizationDriver,
  BeforeSend,
  Issued,
  ProtocolDriver,
  TestResult,
} from '../../../src/protocols/protocol.ts';
import { Secret } from '../../../src/secret.ts';

export const LIFE_MS = 3_600_000;
const DAYS_30_MS = 30 * 24 * 3_600_000;

/** A protocol whose other side does what the script of the next refresh says. Its token is single-use, with a long reuse grace. */
export class ScriptedDriver implements ProtocolDriver {
  readonly protocol = 'scripted';
  script: (beforeSend: BeforeSend) => Promise<Issued> = () => Promise.reject(new Error('not scripted'));
  testSucceeds = true;
  /** A sign-in that every person comes back from. */
  readonly authorization: AuthorizationDriver = {
    needsPerson: () => false,
    begin: () => {
      this.#signIns += 1;
      const state = `state-${String(this.#signIns)}`;
      const prompt = { kind: 'redirect', url: `https://as.example/?state=${state}` } as const;
      const expiresAt = new Date(this.#now().getTime() + LIFE_MS);
      return Promise.resolve({ prompt, state: Secret.of(state), begun: Secret.of({}), expiresAt });
    },
    stateOf: (parameters) => Secret.of(parameters.get('state') ?? ''),
    complete: () => Promise.resolve(this.issue()),
  };
  readonly #now: () => Date;
  readonly #traits = { spends: Secret.of('token'), reuseGraceMs: DAYS_30_MS, deadlineMs: 1_000 };
  #signIns = 0;
  #places = 0;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** Each credential at an endpoint of its own: what one path does to its endpoint is nothing to the next. */
  parseConfig = () => ({ place: (this.#places += 1) });
  parseSecret = () => ({ token: 'registered' });
  identity = () => ({});
  endpoint = ({ place }: JsonObject) => `scripted ${JSON.stringify(place)}`;
  refreshTraits = () => this.#traits;
  material = () => ({ headers: {} });
  confirm = () => Promise.resolve('unconfirmable' as const);
  revoke = () => Promise.resolve('revoked' as const);

  /** The grace ends while the request is on its way. */
  endGrace(): void {
    this.#traits.reuseGraceMs = 0;
  }

  renewGrace(): void {
    this.#traits.reuseGraceMs = DAYS_30_MS;
  }

  refresh(_input: unknown, beforeSend: BeforeSend): Promise<Issued> {
    return this.script(beforeSend);
  }

  test(): Promise<TestResult> {
    const details = { latencyMs: 0, endpoint: 'scripted', permissionsVerified: [], metadata: {} };
    return Promise.resolve({ success: this.testSucceeds, message: 'scripted', details, testedAt: this.#now() });
  }

  issue(lifeMs = LIFE_MS): Issued {
    const issuedAt = this.#now();
    const expiresAt = new Date(issuedAt.getTime() + lifeMs);
    return { grant: Secret.of({ token: 'granted' }), issuedAt, expiresAt, refreshable: true };
  }
}
