import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { AuthKind, AuthRow } from './rows.ts';

/** What happened to an item. Reading is not logging in: `session.started` alone is a login, `session.ended` a logout. */
export const AUTH_EVENT_TYPES = [
  'token.issued',
  'token.updated',
  'token.read',
  'token.revoked',
  'token.expired',
  'session.started',
  'session.updated',
  'session.read',
  'session.ended',
  'session.expired',
  'keyValue.written',
  'keyValue.read',
  'keyValue.deleted',
  'keyValue.expired',
] as const;
export type AuthEventType = (typeof AUTH_EVENT_TYPES)[number];

/** One audit entry. It names the item and its user and holds no value and no token. */
export interface AuthEvent {
  readonly type: AuthEventType;
  readonly kind: AuthKind;
  readonly id: string;
  readonly userId: string | null;
  /** `failure`: somebody asked for an item that had expired. */
  readonly outcome: 'success' | 'failure';
  readonly risk: 'low' | 'medium';
  readonly at: Date;
  /** Time since the item was stored. */
  readonly ageMs: number;
}

const RISKY: ReadonlySet<AuthEventType> = new Set(['token.revoked', 'token.expired', 'session.expired']);

/** Makes audit events and hands them on. A listener that fails is logged and stops nothing. */
export class AuthAudit {
  readonly #ports: Pick<Ports, 'clock' | 'logger'>;
  readonly #listener: (event: AuthEvent) => void;

  constructor(ports: Pick<Ports, 'clock' | 'logger'>, listener: (event: AuthEvent) => void) {
    this.#ports = ports;
    this.#listener = listener;
  }

  tell(
    type: AuthEventType,
    row: Pick<AuthRow, 'kind' | 'id' | 'userId' | 'createdAt'>,
    outcome: AuthEvent['outcome'] = 'success',
  ): void {
    const at = this.#ports.clock.now();
    const { kind, id, userId } = row;
    const ageMs = at.getTime() - row.createdAt.getTime();
    try {
      this.#listener({ type, kind, id, userId, outcome, risk: RISKY.has(type) ? 'medium' : 'low', at, ageMs });
    } catch (error) {
      this.#ports.logger.error({ code: toCredentialError(error).code }, 'A listener to audit events failed.');
    }
  }
}
