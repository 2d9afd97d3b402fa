import { z } from 'zod/v4';
import { MOST_USERS, type CountedUses, type CredentialUsage, type CredentialUser, type UsesOfUser } from './ledger.ts';

const LONGEST_NAME = 256;

const instant = z.iso.datetime().transform((text) => new Date(text));
const userSchema = z.strictObject({
  usedBy: z.strictObject({ kind: z.string(), id: z.string() }).nullable(),
  uses: z.int().nonnegative(),
  lastUsedAt: instant,
});
const usageSchema = z.strictObject({
  credentialId: z.string(),
  uses: z.int().nonnegative(),
  lastUsedAt: instant,
  users: z.array(userSchema),
});

/** What a stored document says; `null` for a damaged one: what was counted before is no reason to lose what comes. */
export function parseUsage(value: unknown): CredentialUsage | null {
  return usageSchema.safeParse(value).data ?? null;
}

export function encodeUsage(usage: CredentialUsage): string {
  return JSON.stringify(usage);
}

/** Both together, whichever was counted later: the sums, the later instants, and of the users the last ones. */
export function mergedUsage(known: CredentialUsage | null, counted: CountedUses): CredentialUsage {
  const { credentialId } = counted;
  const before = known ?? { ...counted, uses: 0, users: [] };
  return {
    credentialId,
    uses: before.uses + counted.uses,
    lastUsedAt: later(before.lastUsedAt, counted.lastUsedAt),
    users: mergedUsers([...before.users, ...counted.users.map(shortened)]),
  };
}

function mergedUsers(users: readonly UsesOfUser[]): UsesOfUser[] {
  const byName = new Map<string, UsesOfUser>();
  for (const user of users) {
    const name = JSON.stringify(user.usedBy && [user.usedBy.kind, user.usedBy.id]);
    const same = byName.get(name) ?? { ...user, uses: 0 };
    const lastUsedAt = later(same.lastUsedAt, user.lastUsedAt);
    byName.set(name, { usedBy: user.usedBy, uses: same.uses + user.uses, lastUsedAt });
  }
  return [...byName.values()].sort((a, b) => b.lastUsedAt.getTime() - a.lastUsedAt.getTime()).slice(0, MOST_USERS);
}

/** Names come from callers: they are kept as they are, but not without end. */
function shortened(user: UsesOfUser): UsesOfUser {
  return { ...user, usedBy: user.usedBy && nameOf(user.usedBy) };
}

function nameOf({ kind, id }: CredentialUser): CredentialUser {
  return { kind: storable(kind), id: storable(id) };
}

function storable(text: string): string {
  return text.slice(0, LONGEST_NAME).toWellFormed().replaceAll('\0', '\uFFFD');
}

function later(a: Date, b: Date): Date {
  return a > b ? a : b;
}
