import { ConfigurationError, TransientError } from '../../../src/errors.ts';
import { isJsonObject, type JsonObject } from '../../../src/json.ts';
import type {
  DriverInput,
  Issued,
  ProtocolDriver,
  RotationDriver,
  RotationInput,
  RotationOverlap,
  TestResult,
} from '../../../src/protocols/protocol.ts';
import { Secret } from '../../../src/secret.ts';

export type Call = 'create' | 'set' | 'test' | 'finish' | 'retire';

/** An other side in memory: the passwords that it accepts, and what it is told to do wrong. */
export class Target {
  readonly accepted: Set<string>;
  readonly calls: string[] = [];
  /** Called before each step; what it throws is the step's failure. */
  onCall: (call: Call, password: string) => void | Promise<void> = () => undefined;
  readonly first: string;
  #made = 0;

  /** @param first the password that is registered */
  constructor(first = 'first') {
    this.first = first;
    this.accepted = new Set([first]);
  }

  make(): string {
    this.#made += 1;
    return `made-${String(this.#made)}`;
  }

  async take(call: Call, password: string): Promise<void> {
    this.calls.push(`${call} ${password}`);
    await this.onCall(call, password);
  }
}

export function refusedCandidate(): ConfigurationError {
  return new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The target refuses this secret.');
}

export function unreachable(): TransientError {
  return new TransientError('ERR_ENDPOINT_UNREACHABLE', 'The target is away.');
}

/** A protocol whose secret is one password, and whose material is the password itself. */
export class TargetDriver implements ProtocolDriver {
  readonly protocol = 'target';
  readonly rotation: RotationDriver;
  readonly #target: Target;
  readonly #now: () => Date;

  constructor(target: Target, now: () => Date, rotation: Partial<RotationDriver> = {}) {
    this.#target = target;
    this.#now = now;
    this.rotation = { ...rotationAt(target, (secret) => this.#issue(secret)), ...rotation };
  }

  parseConfig = (config: unknown) => (isJsonObject(config) ? config : {});
  parseSecret = () => ({ password: this.#target.first });
  identity = () => ({});
  endpoint = () => 'target';
  refreshTraits = () => ({ spends: null, reuseGraceMs: 0, deadlineMs: 1_000 });
  material = (grant: Secret<JsonObject>) => ({ headers: { authorization: passwordOf(grant) } });
  confirm = () => Promise.resolve('unconfirmable' as const);
  revoke = () => Promise.resolve('revoked' as const);

  async refresh({ registered }: DriverInput, beforeSend: () => Promise<() => void>): Promise<Issued> {
    (await beforeSend())();
    return this.#issue(registered);
  }

  async test({ grant }: DriverInput): Promise<TestResult> {
    const success = grant !== null && this.#target.accepted.has(passwordOf(grant));
    const details = { latencyMs: 0, endpoint: 'target', permissionsVerified: [], metadata: {} };
    return { success, message: 'tested', details, testedAt: this.#now() };
  }

  #issue(secret: Secret<JsonObject>): Issued {
    if (!this.#target.accepted.has(passwordOf(secret))) throw refusedCandidate();
    const issuedAt = this.#now();
    const expiresAt = new Date(issuedAt.getTime() + 3_600_000);
    return { grant: Secret.of({ password: passwordOf(secret) }), issuedAt, expiresAt, refreshable: true };
  }
}

function rotationAt(target: Target, issue: (secret: Secret<JsonObject>) => Issued): RotationDriver {
  return {
    overlap: ({ overlap }) => overlap as RotationOverlap,
    async create() {
      const password = target.make();
      await target.take('create', password);
      return Secret.of({ password });
    },
    async set({ config, candidate }: RotationInput) {
      await target.take('set', passwordOf(candidate));
      if (config['overlap'] === 'none') target.accepted.clear();
      target.accepted.add(passwordOf(candidate));
    },
    async test({ candidate }) {
      await target.take('test', passwordOf(candidate));
      return issue(candidate);
    },
    async finish({ candidate }) {
      await target.take('finish', passwordOf(candidate));
    },
    async retire({ config, registered, retired }) {
      await target.take('retire', passwordOf(retired));
      if (target.accepted.delete(passwordOf(retired)) && config['overlap'] === 'none')
        target.accepted.add(passwordOf(registered));
      return 'retired';
    },
  };
}

export function passwordOf(secret: Secret<JsonObject>): string {
  const { password } = secret.unwrap();
  if (typeof password !== 'string') throw new Error('a secret without a password');
  return password;
}
