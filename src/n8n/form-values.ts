import type { ICredentialDataDecryptedObject } from 'n8n-workflow';

export type CredentialData = ICredentialDataDecryptedObject;

/** What a person typed, without the spaces around it; an empty text for what is not there. */
export function text(data: CredentialData, field: string): string {
  return secretText(data, field).trim();
}

/** Secrets stay as they were entered: spaces may belong to them. */
export function secretText(data: CredentialData, field: string): string {
  const value = data[field];
  return typeof value === 'string' ? value : '';
}

/** The texts that somebody filled in: n8n gives an optional field that nobody touched as an empty one. */
export function given(data: CredentialData, fields: readonly string[]): Record<string, string> {
  return filled(fields.map((field) => [field, text(data, field)]));
}

/** The same for secrets. */
export function givenSecrets(data: CredentialData, fields: readonly string[]): Record<string, string> {
  return filled(fields.map((field) => [field, secretText(data, field)]));
}

/** The same for keys and certificates. */
export function givenPems(data: CredentialData, fields: readonly string[]): Record<string, string> {
  return filled(fields.map((field) => [field, pemText(secretText(data, field))]));
}

/** The switches that are on. */
export function switchedOn(data: CredentialData, fields: readonly string[]): Record<string, true> {
  return Object.fromEntries(fields.filter((field) => data[field] === true).map((field) => [field, true]));
}

/** Numbers as they were entered. What is none goes on as it is: the engine says what is wrong with it. */
export function givenNumbers(data: CredentialData, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    fields.map((field) => [field, data[field]] as const).filter(([, value]) => value !== undefined && value !== ''),
  );
}

/** Names separated by commas; `null` when there are none. */
export function listOf(data: CredentialData, field: string): readonly string[] | null {
  const names = text(data, field)
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.length === 0 ? null : names;
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;

/** Puts the line breaks back that a field of one line takes out of a PEM text (RFC 7468 §2). */
export function pemText(entered: string): string {
  const blocks = [...entered.matchAll(PEM)].map(([, label = '', body = '']) => {
    const lines = body.replaceAll(/\\n|\s/g, '').match(/.{1,64}/g) ?? [];
    return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
  });
  return blocks.length === 0 ? entered.trim() : blocks.join('');
}

export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'unknown host';
}

function filled(values: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(values.filter(([, value]) => value !== ''));
}
