import type { DirectoryEntry } from '../directory.ts';
import type { LdapSettings } from './config.ts';
import type { BindFacts, LdapConnection } from './connection.ts';
import { readEntry, searchEntries, textOf } from './entries.ts';
import { escapeLdapFilter } from './filter.ts';

const DAY_MS = 86_400_000;
/** From 1601-01-01, where FILETIME begins, to 1970-01-01. */
const FILETIME_EPOCH_MS = 11_644_473_600_000n;
const NEVER = 0x7fff_ffff_ffff_ffffn;

const ATTRIBUTES = [
  'msDS-UserPasswordExpiryTimeComputed',
  'pwdLastSet',
  'shadowLastChange',
  'shadowMax',
  'pwdChangedTime',
  'pwdPolicySubentry',
];

/** The account's own entry, as far as it may see it. `null` when it may not, or its name leads to none. */
export async function readAccountEntry(
  connection: LdapConnection,
  settings: LdapSettings,
  bindDn: string,
  signal: AbortSignal,
): Promise<DirectoryEntry | null> {
  if (bindDn.includes('=')) return readEntry(connection, bindDn, { attributes: ATTRIBUTES }, signal);
  // Active Directory binds by a UPN or DOMAIN\name, too.
  const value = escapeLdapFilter(bindDn);
  const name = escapeLdapFilter(bindDn.slice(bindDn.indexOf('\\') + 1).split('@')[0] ?? '');
  const filter = `(|(userPrincipalName=${value})(sAMAccountName=${name}))`;
  const { entries } = await searchEntries(connection, settings, { filter, attributes: ATTRIBUTES }, signal);
  return entries.length === 1 ? (entries[0] ?? null) : null;
}

/**
 * When the password of an account ends: what the policy control said, else what its entry says. `null` when it does not end,
 * or nobody says.
 */
export async function passwordExpiry(
  connection: LdapConnection,
  settings: LdapSettings,
  { entry, facts, now }: { readonly entry: DirectoryEntry | null; readonly facts: BindFacts; readonly now: Date },
  signal: AbortSignal,
): Promise<Date | null> {
  if (facts.graceLogins !== null) return now;
  if (facts.expiresInSeconds !== null) return new Date(now.getTime() + facts.expiresInSeconds * 1_000);
  if (entry === null) return null;
  return (
    fromFileTime(textOf(entry, 'msDS-UserPasswordExpiryTimeComputed')) ??
    shadowExpiry(entry) ??
    (await policyExpiry(connection, settings, entry, signal))
  );
}

/** When the password was last changed: of use to who must know which of two it is without trying them. */
export function passwordChangedAt(entry: DirectoryEntry): Date | null {
  return fromFileTime(textOf(entry, 'pwdLastSet')) ?? fromGeneralizedTime(textOf(entry, 'pwdChangedTime'));
}

/** RFC 2307: days since 1970 of the last change, and how many days a password lives. */
function shadowExpiry(entry: DirectoryEntry): Date | null {
  const [changed, life] = [textOf(entry, 'shadowLastChange'), textOf(entry, 'shadowMax')].map(daysOf);
  // 99999 days is how "never" is written.
  return changed == null || life == null || life >= 99_999 ? null : new Date((changed + life) * DAY_MS);
}

function daysOf(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null;
}

/** draft-behera-ldap-password-policy §5.2.2: pwdMaxAge of the policy, in seconds, after pwdChangedTime. */
async function policyExpiry(
  connection: LdapConnection,
  settings: LdapSettings,
  entry: DirectoryEntry,
  signal: AbortSignal,
): Promise<Date | null> {
  const policyDn = textOf(entry, 'pwdPolicySubentry') ?? settings.passwordPolicyDn ?? null;
  const changedAt = fromGeneralizedTime(textOf(entry, 'pwdChangedTime'));
  if (policyDn === null || changedAt === null) return null;
  const policy = await readEntry(connection, policyDn, { attributes: ['pwdMaxAge'] }, signal);
  const maxAge = policy === null ? null : textOf(policy, 'pwdMaxAge');
  if (maxAge === null || !/^\d{1,10}$/.test(maxAge) || Number(maxAge) === 0) return null;
  return new Date(changedAt.getTime() + Number(maxAge) * 1_000);
}

/** FILETIME, MS-DTYP §2.3.3: tenths of microseconds since 1601. 0 and the largest number are no instants. */
export function fromFileTime(text: string | null): Date | null {
  if (text === null || !/^\d{1,19}$/.test(text)) return null;
  const value = BigInt(text);
  return value === 0n || value >= NEVER ? null : new Date(Number(value / 10_000n - FILETIME_EPOCH_MS));
}

/** GeneralizedTime in UTC, RFC 4517 §3.3.13, as servers write it. */
export function fromGeneralizedTime(text: string | null): Date | null {
  const form = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?:[.,]\d+)?Z$/.exec(text ?? '');
  if (form === null) return null;
  const [year, month, day, hour, minute, second] = form.slice(1);
  const at = new Date(`${year ?? ''}-${month ?? ''}-${day ?? ''}T${hour ?? ''}:${minute ?? ''}:${second ?? ''}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}
