import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { AuthAudit, type AuthEvent } from './audit.ts';
import { KeyValueShelf } from './key-values.ts';
import type { AuthKind, AuthRows } from './rows.ts';
import { SessionShelf } from './sessions.ts';
import { TokenShelf, type KeyedHash } from './tokens.ts';

export interface AuthStorageOptions {
  readonly rows: AuthRows;
  readonly ports: Pick<Ports, 'clock' | 'logger'>;
  /** Keyed one-way hash under which tokens are kept, for example `Vault.keyedHash`. */
  readonly hash: KeyedHash;
  /** How long items live that say nothing themselves; `null` (default) for ever. */
  readonly defaultTtlMs?: number | null;
  readonly onEvent?: (event: AuthEvent) => void;
}

/** Counts of what has not expired. */
export interface AuthStatistics {
  readonly tokens: number;
  readonly sessions: number;
  readonly keyValues: number;
  readonly usersWithTokens: number;
  readonly usersWithSessions: number;
  readonly at: Date;
}

export interface ItemAge {
  readonly id: string;
  readonly userId: string | null;
  readonly createdAt: Date;
  readonly ageMs: number;
}

export interface AuthAuditReport extends AuthStatistics {
  /** `null` when there is none. */
  readonly oldestTokenAgeMs: number | null;
  readonly tokensOlderThan24h: number;
  readonly oldestSessionAgeMs: number | null;
  readonly sessionsOlderThan24h: number;
}

const DAY_MS = 86_400_000;
const CLEANUP_STEP = 500;
const AGES = 1_000;

/**
 * Tokens, sessions and key-values with their ends, indexes, reports and audit events. Everything expires at an instant; an expired item
 * is found by nobody, is deleted by whoever asks for it first, and in any case by the cleanup, with all its index entries.
 */
export class AuthStorage {
  readonly tokens: TokenShelf;
  readonly sessions: SessionShelf;
  readonly keyValues: KeyValueShelf;
  readonly #rows: AuthRows;
  readonly #ports: Pick<Ports, 'clock' | 'logger'>;
  #cancelCleanup: (() => void) | null = null;

  constructor({ rows, ports, hash, defaultTtlMs = null, onEvent = () => undefined }: AuthStorageOptions) {
    const options = { rows, ports, audit: new AuthAudit(ports, onEvent), defaultTtlMs };
    this.tokens = new TokenShelf({ ...options, hash });
    this.sessions = new SessionShelf(options);
    this.keyValues = new KeyValueShelf(options);
    this.#rows = rows;
    this.#ports = ports;
  }

  /** Deletes all that has expired. */
  async cleanUp(): Promise<{ tokens: number; sessions: number; keyValues: number }> {
    return {
      tokens: await this.tokens.cleanUp(CLEANUP_STEP),
      sessions: await this.sessions.cleanUp(CLEANUP_STEP),
      keyValues: await this.keyValues.cleanUp(CLEANUP_STEP),
    };
  }

  /** Cleans up every `everyMs` until the storage is closed. Several processes may do so at once. */
  startCleanup(everyMs: number): void {
    this.#cancelCleanup?.();
    this.#cancelCleanup = this.#ports.clock.schedule(everyMs, () => {
      this.cleanUp()
        .catch((error: unknown) => {
          this.#ports.logger.error({ code: toCredentialError(error).code }, 'The cleanup failed; trying again.');
        })
        .finally(() => {
          if (this.#cancelCleanup) this.startCleanup(everyMs);
        });
    });
  }

  stopCleanup(): void {
    this.#cancelCleanup?.();
    this.#cancelCleanup = null;
  }

  async statistics(): Promise<AuthStatistics> {
    const at = this.#ports.clock.now();
    const [tokens, sessions, keyValues] = await Promise.all([
      this.#rows.count('token', { now: at }),
      this.#rows.count('session', { now: at }),
      this.#rows.count('keyValue', { now: at }),
    ]);
    return {
      tokens: tokens.rows,
      sessions: sessions.rows,
      keyValues: keyValues.rows,
      usersWithTokens: tokens.users,
      usersWithSessions: sessions.users,
      at,
    };
  }

  /** The oldest first; at most 1,000. */
  async tokenAges(limit = AGES): Promise<ItemAge[]> {
    return this.#ages('token', limit);
  }

  /** The oldest first; at most 1,000. */
  async sessionAges(limit = AGES): Promise<ItemAge[]> {
    return this.#ages('session', limit);
  }

  async auditReport(): Promise<AuthAuditReport> {
    const [statistics, [token], [session]] = await Promise.all([
      this.statistics(),
      this.tokenAges(1),
      this.sessionAges(1),
    ]);
    const { at } = statistics;
    const options = { now: at, createdBefore: new Date(at.getTime() - DAY_MS) };
    return {
      ...statistics,
      oldestTokenAgeMs: token?.ageMs ?? null,
      tokensOlderThan24h: (await this.#rows.count('token', options)).rows,
      oldestSessionAgeMs: session?.ageMs ?? null,
      sessionsOlderThan24h: (await this.#rows.count('session', options)).rows,
    };
  }

  async close(): Promise<void> {
    this.stopCleanup();
    await this.#rows.close();
  }

  async #ages(kind: AuthKind, limit: number): Promise<ItemAge[]> {
    const now = this.#ports.clock.now();
    const oldest = await this.#rows.listOldest(kind, { limit: Math.min(limit, AGES), now });
    return oldest.map((row) => ({ ...row, ageMs: now.getTime() - row.createdAt.getTime() }));
  }
}
