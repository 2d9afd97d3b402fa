import type { CredentialError, ErrorCode } from '../../src/errors.ts';
import type { Confirmation, Issued, ProtocolDriver, TestResult } from '../../src/protocols/protocol.ts';
import { Secret } from '../../src/secret.ts';

const SECOND = 1_000;

/** A protocol whose other side does what a test says, and counts what it was asked. */
export class HealthDriver implements ProtocolDriver {
  readonly protocol = 'scripted';
  readonly asked = { refresh: 0, test: 0, confirm: 0, revoke: 0 };
  /** What the next tests meet, in this order; after that they pass. */
  readonly testScript: (CredentialError | 'rejected' | 'hangs')[] = [];
  readonly refreshScript: CredentialError[] = [];
  confirmation: Confirmation | CredentialError = 'accepted';
  revocation: CredentialError | null = null;
  isLogin: boolean | undefined = false;
  notPresented: readonly ErrorCode[] = [];
  issued: Partial<Omit<Issued, 'grant' | 'issuedAt'>> & { readonly lifeSeconds?: number | null } = {};
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  parseConfig = (config: unknown) => ({ ...(config as object) });
  parseSecret = (secret: unknown) => ({ ...(secret as object) });
  identity = (config: object) => ({ ...config });
  endpoint = () => 'scripted.example';
  refreshTraits = () => ({ spends: null, reuseGraceMs: 0, deadlineMs: SECOND });
  material = () => ({ headers: { authorization: 'material' } });

  get testTraits(): NonNullable<ProtocolDriver['testTraits']> {
    const { isLogin, notPresented } = this;
    return (isLogin === undefined ? undefined : () => ({ isLogin, notPresented })) as NonNullable<
      ProtocolDriver['testTraits']
    >;
  }

  async refresh(_input: unknown, beforeSend: () => Promise<unknown>): Promise<Issued> {
    await beforeSend();
    this.asked.refresh += 1;
    const failure = this.refreshScript.shift();
    if (failure) throw failure;
    const { lifeSeconds = 3_600, ...facts } = this.issued;
    const issuedAt = this.#now();
    const expiresAt = lifeSeconds === null ? null : new Date(issuedAt.getTime() + lifeSeconds * SECOND);
    return { grant: Secret.of({ token: 'granted' }), issuedAt, expiresAt, refreshable: true, ...facts };
  }

  async confirm(): Promise<Confirmation> {
    this.asked.confirm += 1;
    if (typeof this.confirmation !== 'string') throw this.confirmation;
    return Promise.resolve(this.confirmation);
  }

  async test(): Promise<TestResult> {
    this.asked.test += 1;
    const next = this.testScript.shift();
    if (next === 'hangs') return new Promise(() => undefined);
    if (next !== undefined && next !== 'rejected') throw next;
    const details = { latencyMs: 1, endpoint: 'scripted.example', permissionsVerified: [], metadata: {} };
    return Promise.resolve({ success: next === undefined, message: 'scripted', details, testedAt: this.#now() });
  }

  async revoke(): Promise<'revoked'> {
    this.asked.revoke += 1;
    if (this.revocation) throw this.revocation;
    return Promise.resolve('revoked');
  }
}
