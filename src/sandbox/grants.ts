import type Database from 'better-sqlite3';
import type { default as Provider } from 'oidc-provider';
import type { Clock } from '../ports.ts';
import { CLIENT_IDS, SANDBOX_SCOPE } from './clients.ts';
import type { ClientName } from './options.ts';

const ACCOUNT_ID = 'sandbox-user';

/** What a revocation ends: access tokens now, refresh tokens (tokens already out live on until they expire), or everything. */
export const REVOCATIONS = ['accessTokens', 'refreshTokens', 'grants'] as const;
export type Revocation = (typeof REVOCATIONS)[number];

const KINDS: Readonly<Record<Revocation, readonly string[]>> = {
  accessTokens: ['AccessToken', 'ClientCredentials'],
  refreshTokens: ['RefreshToken'],
  grants: ['AccessToken', 'ClientCredentials', 'RefreshToken', 'Grant'],
};

export interface GrantsOptions {
  readonly database: Database.Database;
  readonly clock: Clock;
  readonly provider: Provider;
  readonly revokeAfterMs: number | null;
}

/** Gives and takes grants on the server's own initiative, as its owner would on a console. */
export class Grants {
  readonly #database: Database.Database;
  readonly #clock: Clock;
  readonly #provider: Provider;
  readonly #revokeAfterMs: number | null;
  #cancelTimer = (): void => undefined;

  constructor(options: GrantsOptions) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#provider = options.provider;
    this.#revokeAfterMs = options.revokeAfterMs;
  }

  /** Makes a grant as if a user had consented, and returns its refresh token. */
  async mintRefreshToken(name: ClientName): Promise<string> {
    const { Client, Grant, RefreshToken } = this.#provider;
    const client = await Client.find(CLIENT_IDS[name]);
    if (!client) throw new TypeError(`no client ${name}`);
    const grant = new Grant({ accountId: ACCOUNT_ID, clientId: client.clientId });
    grant.addOIDCScope(SANDBOX_SCOPE);
    const grantId = await grant.save();
    if (name === 'revoked') this.#scheduleRevocation(grantId);
    return new RefreshToken({
      accountId: ACCOUNT_ID,
      client,
      grantId,
      gty: 'authorization_code',
      scope: SANDBOX_SCOPE,
    }).save();
  }

  /** Revokes at once, of one client or of all. */
  revoke(what: Revocation, name: ClientName | null): void {
    for (const kind of KINDS[what]) {
      this.#database
        .prepare(
          `UPDATE model SET revoked_at = @now WHERE kind = @kind AND revoked_at IS NULL
           AND (@clientId IS NULL OR payload ->> 'clientId' = @clientId)`,
        )
        .run({ now: this.#nowMs(), kind, clientId: name && CLIENT_IDS[name] });
    }
  }

  /** Carries out the revocations that are due, also those that fell due while the server was down. */
  startSchedule(): void {
    this.#revokeDue();
    const next = this.#database
      .prepare<[], { due_at: number | null }>(
        'SELECT min(due_at) AS due_at FROM scheduled_revocation WHERE done_at IS NULL',
      )
      .get();
    const dueAt = next?.due_at ?? null;
    this.stopSchedule();
    if (dueAt === null) return;
    this.#cancelTimer = this.#clock.schedule(dueAt - this.#nowMs(), () => {
      this.startSchedule();
    });
  }

  stopSchedule(): void {
    this.#cancelTimer();
  }

  #scheduleRevocation(grantId: string): void {
    if (this.#revokeAfterMs === null) return;
    this.#database
      .prepare('INSERT INTO scheduled_revocation (grant_id, due_at) VALUES (?, ?)')
      .run(grantId, this.#nowMs() + this.#revokeAfterMs);
    this.startSchedule();
  }

  // Refresh tokens only: like most servers, it lets the access tokens that are out live until they expire.
  #revokeDue(): void {
    const now = this.#nowMs();
    const carryOut = this.#database.transaction(() => {
      this.#database
        .prepare(
          `UPDATE model SET revoked_at = @now WHERE kind = 'RefreshToken' AND revoked_at IS NULL AND grant_id IN
           (SELECT grant_id FROM scheduled_revocation WHERE done_at IS NULL AND due_at <= @now)`,
        )
        .run({ now });
      this.#database
        .prepare('UPDATE scheduled_revocation SET done_at = @now WHERE done_at IS NULL AND due_at <= @now')
        .run({ now });
    });
    carryOut();
  }

  #nowMs(): number {
    return this.#clock.now().getTime();
  }
}
