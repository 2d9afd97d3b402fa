import type { CredentialSummary } from './client.ts';
import type { CredentialId, StatePath } from './lifecycle/credential.ts';
import type { RotationPolicyInput } from './lifecycle/rotation/plan.ts';
import type { TestResult } from './protocols/protocol.ts';

export interface RegisterInput {
  readonly protocol: string;
  readonly name: string;
  readonly ownerId?: string;
  /** The workflow, project or environment that it is for. */
  readonly scopeId?: string;
  readonly tags?: readonly string[];
  readonly config: unknown;
  readonly secret: unknown;
  /** Whether to try it at once; default true. */
  readonly test?: boolean;
  /** When its secret is replaced by itself; absent: when somebody asks. */
  readonly rotation?: RotationPolicyInput;
}

export interface Registered {
  readonly id: CredentialId;
  readonly state: StatePath;
  readonly test: TestResult | null;
  readonly credential: CredentialSummary;
}
