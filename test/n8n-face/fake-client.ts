import type {
  AdoptedEntry,
  CredentialHandle,
  DirectoryHandle,
  EngineClient,
  OperatorHandle,
  RejectionDecision,
} from '../../src/client.ts';
import { noDirectory } from '../../src/directory-handle.ts';
import { AccessError } from '../../src/errors.ts';
import type { TestResult } from '../../src/protocols/protocol.ts';

/** An engine reduced to what its client shows: one credential, its generation, and what it was asked. */
export class FakeCredential implements CredentialHandle {
  readonly id: string;
  protocol = 'oauth2';
  /** What it answers as a directory; without it, it is none. */
  directoryHandle: DirectoryHandle | null = null;
  current = 1;
  /** Options of the tests that were asked for. */
  readonly tests: unknown[] = [];
  /** Generations that were reported as rejected, in order. */
  readonly reported: number[] = [];
  /** What the other side says when it is asked about the current generation. */
  confirmation: 'rejected' | 'accepted' | 'unconfirmable' = 'rejected';
  failure: Error | null = null;
  readonly signals: (AbortSignal | undefined)[] = [];

  constructor(id = 'adopted-1') {
    this.id = id;
  }

  get token(): string {
    return `token-of-generation-${String(this.current)}`;
  }

  use: CredentialHandle['use'] = async (options) => {
    this.signals.push(options?.signal);
    if (this.failure) throw this.failure;
    return { headers: { authorization: `Bearer ${this.token}` }, expiresAt: null, generation: this.current };
  };

  async directory(): Promise<DirectoryHandle> {
    if (this.failure) throw this.failure;
    if (this.directoryHandle === null) throw noDirectory();
    return this.directoryHandle;
  }

  async generation(): Promise<number> {
    return this.current;
  }

  async reportRejected(generation: number): Promise<RejectionDecision> {
    this.reported.push(generation);
    if (generation < this.current) return this.#decided('alreadyRefreshed');
    if (this.confirmation === 'accepted') return this.#decided('stillAccepted');
    if (this.confirmation === 'unconfirmable') return this.#decided('notRefreshed');
    this.current += 1;
    return this.#decided('refreshed');
  }

  async test(options?: { readonly cached?: boolean }): Promise<TestResult> {
    this.tests.push(options);
    if (this.failure) throw this.failure;
    const details = { latencyMs: 1, endpoint: 'https://auth.example.com', permissionsVerified: [], metadata: {} };
    return { success: true, message: 'auth.example.com accepts the access token.', details, testedAt: new Date(0) };
  }

  #decided(decision: RejectionDecision['decision']): RejectionDecision {
    return { decision, reason: 'refreshed', generation: this.current };
  }
}

export class FakeClient implements EngineClient {
  readonly entries: AdoptedEntry[] = [];
  readonly credential: FakeCredential;
  readonly operatorHandle: OperatorHandle | null;

  constructor(credential: FakeCredential = new FakeCredential(), operatorHandle: OperatorHandle | null = null) {
    this.credential = credential;
    this.operatorHandle = operatorHandle;
  }

  async adopted(entry: AdoptedEntry): Promise<CredentialHandle> {
    this.entries.push(entry);
    return this.credential;
  }

  async managed(id: string, accessKey: string): Promise<CredentialHandle> {
    if (id === this.credential.id && accessKey === 'right key') return this.credential;
    throw new AccessError('ERR_ACCESS_DENIED', 'There is no credential with this id and access key.');
  }

  async operator(accessKey: string): Promise<OperatorHandle> {
    if (accessKey === 'right key' && this.operatorHandle) return this.operatorHandle;
    throw new AccessError('ERR_ACCESS_DENIED', 'There is no such access key.');
  }
}
