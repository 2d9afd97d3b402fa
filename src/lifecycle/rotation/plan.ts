import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import { isWindow, nextWindowAt, WINDOW_OPEN_MS } from './windows.ts';

/** When a credential's secret is replaced by itself, and how. */
export interface RotationPolicy {
  /** Greatest age of the secret in milliseconds; `null`: age alone does not rotate it. */
  readonly rotateEveryMs: number | null;
  /** How long the old secret stays accepted beside the new one, in milliseconds, where both can be; default 24 h. */
  readonly rotationGraceMs: number;
  /** When scheduled rotations may begin; `null`: at any time. Without an age each window rotates. */
  readonly window: RotationWindow | null;
}

export interface RotationWindow {
  /** Five fields: minute, hour, day of month, month, day of week. The window opens then and stays open for an hour. */
  readonly cron: string;
  /** IANA name, for example `Europe/Berlin`. */
  readonly timeZone: string;
}

/** A rotation policy as a person gives it. */
export interface RotationPolicyInput {
  readonly rotateEveryMs?: number | null;
  readonly rotationGraceMs?: number;
  readonly window?: RotationWindow | null;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const LONGEST_MS = 3_660 * DAY_MS;
const MARGIN_MOST_MS = 7 * DAY_MS;
const GRACE_DEFAULT_MS = DAY_MS;

export const DEFAULT_ROTATION_GRACE_MS = GRACE_DEFAULT_MS;

const window = z
  .strictObject({ cron: z.string().max(200), timeZone: z.string().max(100) })
  .refine(isWindow, 'no window');
const policyInput = z.strictObject({
  rotateEveryMs: z.int().min(MINUTE_MS).max(LONGEST_MS).nullable().optional(),
  rotationGraceMs: z.int().min(0).max(LONGEST_MS).optional(),
  window: window.nullable().optional(),
});
export const rotationPolicySchema = z.strictObject({
  rotateEveryMs: z.int().positive().nullable(),
  rotationGraceMs: z.int().nonnegative(),
  window: z.strictObject({ cron: z.string(), timeZone: z.string() }).nullable(),
});

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function parseRotationPolicy(input: unknown): RotationPolicy {
  const result = policyInput.safeParse(input);
  if (!result.success) throw malformed(result.error.issues[0]);
  const { rotateEveryMs = null, rotationGraceMs = GRACE_DEFAULT_MS, window: opening = null } = result.data;
  return { rotateEveryMs, rotationGraceMs, window: opening };
}

const WANTED: Readonly<Record<string, string>> = {
  rotateEveryMs: 'must be whole milliseconds, from a minute to ten years, or null',
  rotationGraceMs: 'must be whole milliseconds, from 0 to ten years',
  window: 'must be a cron expression of five fields that comes true, and an IANA time zone',
};

function malformed(issue: z.core.$ZodIssue | undefined): ConfigurationError {
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const [field = 'rotation'] = issue?.path ?? [];
  const problem =
    unknown === undefined
      ? `rotation.${String(field)} ${WANTED[String(field)] ?? 'must be an object'}`
      : `rotation.${unknown.slice(0, 80)} is not known`;
  return new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${problem}.`);
}

/** What a plan looks at. */
export interface PlanFacts {
  readonly createdAt: Date;
  readonly rotatedAt: Date | null;
  readonly secretExpiresAt: Date | null;
  readonly policy: RotationPolicy | null;
}

export interface RotationPlan {
  readonly at: Date;
  readonly reason: 'keyAgeReached' | 'secretExpiring' | 'windowOpened';
}

/**
 * When the secret is to be replaced by itself: a tenth of its life, a week at most, before its age or its end is reached;
 * then at the opening of a maintenance window, unless the secret would end before that. `null` without a policy.
 */
export function planRotation(facts: PlanFacts, now: Date): RotationPlan | null {
  const { policy, rotatedAt, createdAt } = facts;
  if (policy === null) return null;
  const since = rotatedAt ?? createdAt;
  const wanted = earliest([agePlan(policy, since), endPlan(facts, since)]);
  if (policy.window === null) return wanted;
  const from = wanted === null ? laterOf(since, now) : laterOf(wanted.at, new Date(now.getTime() - WINDOW_OPEN_MS));
  const opening = nextWindowAt(policy.window, from);
  if (wanted === null) return opening && { at: opening, reason: 'windowOpened' };
  const tooLate = facts.secretExpiresAt !== null && (opening === null || opening >= facts.secretExpiresAt);
  return tooLate || opening === null ? wanted : { at: opening, reason: wanted.reason };
}

/** Whether what was planned for `dueAt` may still begin: a window that has closed is over. */
export function isStillOpen(policy: RotationPolicy, dueAt: Date, now: Date): boolean {
  return policy.window === null || now.getTime() - dueAt.getTime() < WINDOW_OPEN_MS;
}

/** Why a rotation that is due is due. */
export function reachedReason(
  facts: PlanFacts & { readonly policy: RotationPolicy },
  now: Date,
): RotationPlan['reason'] {
  const since = facts.rotatedAt ?? facts.createdAt;
  const reached = [endPlan(facts, since), agePlan(facts.policy, since)].find((plan) => plan !== null && plan.at <= now);
  return reached?.reason ?? 'windowOpened';
}

function agePlan({ rotateEveryMs }: RotationPolicy, since: Date): RotationPlan | null {
  if (rotateEveryMs === null) return null;
  return { at: before(since.getTime() + rotateEveryMs, rotateEveryMs), reason: 'keyAgeReached' };
}

function endPlan({ secretExpiresAt }: PlanFacts, since: Date): RotationPlan | null {
  if (secretExpiresAt === null) return null;
  const lifeMs = Math.max(secretExpiresAt.getTime() - since.getTime(), 0);
  return { at: before(secretExpiresAt.getTime(), lifeMs), reason: 'secretExpiring' };
}

function before(endMs: number, lifeMs: number): Date {
  return new Date(Math.floor(endMs - Math.min(lifeMs / 10, MARGIN_MOST_MS)));
}

function earliest(plans: readonly (RotationPlan | null)[]): RotationPlan | null {
  return plans.filter((plan) => plan !== null).sort((a, b) => a.at.getTime() - b.at.getTime())[0] ?? null;
}

function laterOf(one: Date, other: Date): Date {
  return one > other ? one : other;
}
