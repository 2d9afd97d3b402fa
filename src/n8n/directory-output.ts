import type { IDataObject } from 'n8n-workflow';
import type { Authentication, AuthenticationRefusal, DirectoryEntry, DirectoryUser } from '../protocols/directory.ts';

/** What an answer to a login says to a workflow. Whether a user of that name exists is not among it. */
const OUTCOMES = {
  emptyPassword: 'invalid',
  malformedUsername: 'invalid',
  userNotFound: 'invalid',
  ambiguousUser: 'invalid',
  invalidCredentials: 'invalid',
  notPermittedAtThisTime: 'restricted',
  notPermittedAtThisWorkstation: 'restricted',
  passwordExpired: 'expired',
  mustChangePassword: 'mustChange',
  accountLocked: 'locked',
  accountDisabled: 'disabled',
  accountExpired: 'disabled',
} as const satisfies Record<AuthenticationRefusal, string>;

/** Attributes in which servers keep passwords or what is as good: they never leave, whoever may read them. */
const SECRET_ATTRIBUTES = new Set(
  [
    ...['userPassword', 'authPassword', 'pwdHistory', 'unicodePwd', 'dBCSPwd', 'ntPwdHistory', 'lmPwdHistory'],
    ...['supplementalCredentials', 'ms-Mcs-AdmPwd', 'msLAPS-Password', 'msLAPS-EncryptedPassword'],
    ...['msLAPS-EncryptedPasswordHistory', 'msDS-ManagedPassword', 'sambaNTPassword', 'sambaLMPassword'],
    ...['sambaPasswordHistory', 'krbPrincipalKey', 'olcRootPW', 'nsslapd-rootpw', 'ipaNTHash', 'trustAuthIncoming'],
    ...['trustAuthOutgoing', 'initialAuthIncoming', 'initialAuthOutgoing', 'msFVE-RecoveryPassword'],
  ].map((name) => name.toLowerCase()),
);

/** The answer to a login as an n8n item. Neither name nor password is repeated. */
export function authenticationItem(answer: Authentication): IDataObject {
  if (answer.outcome === 'authenticated') {
    return { authenticated: true, outcome: 'valid', message: 'The password is right.', user: userItem(answer.user) };
  }
  return { authenticated: false, outcome: OUTCOMES[answer.reason], message: answer.message, user: null };
}

/** A user as an n8n item; `found` is false where there is none, or more than one. */
export function foundUserItem(user: DirectoryUser | null): IDataObject {
  if (user === null) return { found: false, dn: null, cn: null, mail: null, groups: [], attributes: {} };
  return { found: true, ...userItem(user) };
}

export function entryItem({ dn, attributes }: DirectoryEntry): IDataObject {
  return { dn, attributes: attributesItem(attributes) };
}

function userItem({ dn, cn, mail, groups, entry }: DirectoryUser): IDataObject {
  return { dn, cn, mail, groups: [...groups], attributes: attributesItem(entry.attributes) };
}

/** Every attribute is a list. A value that is no text is an object with its bytes in base64. */
function attributesItem(attributes: DirectoryEntry['attributes']): IDataObject {
  return Object.fromEntries(
    [...attributes]
      .filter(([name]) => !isSecret(name))
      .map(([name, values]) => [
        name,
        values.map((value) => (typeof value === 'string' ? value : { base64: value.toString('base64') })),
      ]),
  );
}

/** Options of an attribute (RFC 4512 §2.5) do not make it another one. */
function isSecret(name: string): boolean {
  return SECRET_ATTRIBUTES.has(name.split(';', 1).join('').toLowerCase());
}
