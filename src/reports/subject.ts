import type { CredentialSummary } from '../client.ts';
import { ERROR_CATALOGUE } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Which credential a row of a report is about. */
export type ReportSubject = Pick<
  CredentialSummary,
  'id' | 'name' | 'protocol' | 'ownerId' | 'scopeId' | 'tags' | 'origin' | 'state'
>;

export function subjectOf(summary: CredentialSummary): ReportSubject {
  const { id, name, protocol, ownerId, scopeId, tags, origin, state } = summary;
  return { id, name, protocol, ownerId, scopeId, tags, origin, state };
}

/** Whether it is kept by another program and only watched here: nobody uses it through this engine. */
export function isWatched({ protocol }: Pick<CredentialSummary, 'protocol'>): boolean {
  return protocol === 'n8n';
}

/** What the catalogue says to do. */
export function actionOfCode(code: ErrorCode): string {
  return ERROR_CATALOGUE[code].action;
}

/** By an instant, the earliest first; what has the same one, by name and id, so that a report reads the same twice. */
export function byInstant<Row extends ReportSubject>(instantOf: (row: Row) => Date): (a: Row, b: Row) => number {
  return (a, b) => instantOf(a).getTime() - instantOf(b).getTime() || byName(a, b);
}

function byName(a: ReportSubject, b: ReportSubject): number {
  return compare(a.name, b.name) || compare(a.id, b.id);
}

/** By code units: the same on every machine, whatever its language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
