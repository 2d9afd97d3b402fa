import { toCredentialError } from './errors.ts';
import type { CredentialId } from './lifecycle/credential.ts';
import type { Surroundings } from './lifecycle/effects.ts';
import { MOST_USERS, type CredentialUsage, type CredentialUser, type CountedUses } from './storage/ledger.ts';

const FLUSH_AFTER_MS = 60_000;
const NOBODY: CredentialUser = { kind: '', id: '' };

interface OpenUser {
  readonly usedBy: CredentialUser;
  uses: number;
  lastUsedMs: number;
}

interface OpenCredential {
  /** By kind and id. */
  readonly users: Map<string, OpenUser>;
  /** Who used it last. */
  last: OpenUser;
  /** Uses of users that are not kept any more. */
  forgotten: number;
}

/**
 * Who used which credential, and when last. Uses are counted in memory and written about once a minute, so that a use does no
 * I/O; a crash loses the open minute at most.
 */
export class Usage {
  readonly #surroundings: Pick<Surroundings, 'ports' | 'records'>;
  #open = new Map<CredentialId, OpenCredential>();
  #cancel: (() => void) | null = null;
  #flushing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(surroundings: Pick<Surroundings, 'ports' | 'records'>) {
    this.#surroundings = surroundings;
  }

  /** Counts one use. Nothing else is done on the way of a caller: no I/O, no look at the clock. */
  count(id: CredentialId, usedBy: CredentialUser = NOBODY, atMs: number, uses = 1): void {
    const known = this.#open.get(id) ?? this.#begun(id, usedBy, atMs);
    const { last } = known;
    const isSame = last.usedBy.id === usedBy.id && last.usedBy.kind === usedBy.kind;
    const user = isSame ? last : turnTo(known, usedBy, atMs);
    user.uses += uses;
    if (atMs > user.lastUsedMs) user.lastUsedMs = atMs;
  }

  /** What is known of the uses of these credentials, by all processes; of others the last minute may be missing. */
  async of(ids: readonly CredentialId[]): Promise<ReadonlyMap<CredentialId, CredentialUsage>> {
    await this.flush();
    const found = await this.#surroundings.records.getUsage(ids);
    return new Map(found.map((usage) => [usage.credentialId, usage]));
  }

  /** Writes what was counted. With SQLite that is done when this returns its promise: the last moment of a process is synchronous. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    const counted = this.#open;
    if (counted.size === 0) return this.#flushing;
    this.#open = new Map();
    this.#flushing = Promise.all([this.#flushing, this.#write(counted)]).then(() => undefined);
    return this.#flushing;
  }

  /** Writes what is left; what is counted later is not written any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
  }

  async #write(counted: ReadonlyMap<CredentialId, OpenCredential>): Promise<void> {
    try {
      await this.#surroundings.records.addUses([...counted].map(countedUses));
    } catch (error) {
      // Nobody's use fails for it: the next write brings it.
      for (const [id, { users }] of counted)
        for (const { usedBy, lastUsedMs, uses } of users.values()) this.count(id, usedBy, lastUsedMs, uses);
      const { code } = toCredentialError(error);
      this.#surroundings.ports.logger.warn({ code, credentials: counted.size }, 'The last uses could not be written.');
    }
  }

  readonly #flushDue = (): void => {
    void this.flush();
  };

  #begun(id: CredentialId, usedBy: CredentialUser, atMs: number): OpenCredential {
    const last = { usedBy, uses: 0, lastUsedMs: atMs };
    const begun = { users: new Map([[nameOf(usedBy), last]]), last, forgotten: 0 };
    this.#open.set(id, begun);
    if (!this.#isClosed) this.#cancel ??= this.#surroundings.ports.clock.schedule(FLUSH_AFTER_MS, this.#flushDue);
    return begun;
  }
}

/** Another one uses it now. Of more than can be kept the one who was first is forgotten; his uses stay in the sum. */
function turnTo(known: OpenCredential, usedBy: CredentialUser, atMs: number): OpenUser {
  const name = nameOf(usedBy);
  const user = known.users.get(name) ?? { usedBy, uses: 0, lastUsedMs: atMs };
  known.users.delete(name);
  known.users.set(name, user);
  known.last = user;
  const [first] = known.users;
  if (known.users.size <= MOST_USERS || first === undefined) return user;
  known.users.delete(first[0]);
  known.forgotten += first[1].uses;
  return user;
}

function nameOf({ kind, id }: CredentialUser): string {
  return `${kind}\0${id}`;
}

function countedUses([credentialId, { users, forgotten }]: [CredentialId, OpenCredential]): CountedUses {
  const known = [...users.values()];
  return {
    credentialId,
    uses: known.reduce((sum, { uses }) => sum + uses, forgotten),
    lastUsedAt: new Date(Math.max(...known.map(({ lastUsedMs }) => lastUsedMs))),
    users: known.map(({ usedBy, uses, lastUsedMs }) => ({
      usedBy: usedBy === NOBODY ? null : { kind: usedBy.kind, id: usedBy.id },
      uses,
      lastUsedAt: new Date(lastUsedMs),
    })),
  };
}
