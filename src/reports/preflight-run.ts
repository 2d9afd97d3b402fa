import type { CredentialSummary, OperatorHandle } from '../client.ts';
import { isCredentialError, toCredentialError, type CredentialError } from '../errors.ts';
import { judgePreflight, notAlive, wantsRefresh, type PreflightJudgement } from './preflight.ts';
import { subjectOf, type ReportSubject } from './subject.ts';

export interface PreflightOptions {
  readonly until: Date;
  /** Gets a new grant for each whose token ends until then and that may be renewed without a person. */
  readonly refresh?: boolean;
  /** Asks the other side about each that looks alive. */
  readonly test?: boolean;
  readonly signal?: AbortSignal;
}

/** One credential of a pre-flight: what is known of it, and the judgement. An id that leads nowhere has no more than that. */
export type PreflightRow = PreflightJudgement &
  (ReportSubject | { readonly id: string; readonly name: null }) & { readonly detail: string | null };

export interface PreflightResult {
  readonly alive: boolean;
  readonly until: Date;
  /** In the order asked for, each once. */
  readonly credentials: readonly PreflightRow[];
}

/** Engines and handles of operators have these verbs alike. */
export type PreflightVerbs = Pick<OperatorHandle, 'get' | 'refresh' | 'test'>;

const AT_ONCE = 5;

/**
 * Judges credentials, a few at a time, and where asked refreshes and tests each once. What happens to one of them is its row;
 * an access key that lacks a scope, and a store that cannot be read, end all of it.
 *
 * @throws AccessError `ERR_ACCESS_SCOPE_MISSING`; StorageError
 */
export async function runPreflight(
  verbs: PreflightVerbs,
  ids: readonly string[],
  options: PreflightOptions,
): Promise<PreflightResult> {
  const unique = [...new Set(ids)];
  const credentials: PreflightRow[] = [];
  // Workers share one iterator, so that a slow credential holds up nobody else.
  const queue = unique.entries();
  const work = async (): Promise<void> => {
    for (const [index, id] of queue) {
      options.signal?.throwIfAborted();
      credentials[index] = await judged(verbs, id, options);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, unique.length) }, work));
  return { alive: credentials.every(({ alive }) => alive), until: options.until, credentials };
}

async function judged(verbs: PreflightVerbs, id: string, options: PreflightOptions): Promise<PreflightRow> {
  const { until, refresh = false, test = false } = options;
  const found = await orError(verbs.get(id));
  if (isCredentialError(found)) return unreachable(id, found);
  const first = refresh && wantsRefresh(found, until) ? await orError(verbs.refresh(id)) : found;
  if (isCredentialError(first)) return failedRow(await lookAgain(verbs, found), 'refreshFailing', first);
  const judgement = judgePreflight(first, until);
  // A test that failed before may be what the new one proves wrong.
  if (!test || !(judgement.alive || judgement.reason === 'testFailing')) return row(first, judgement, null);
  const result = await orError(verbs.test(id));
  const after = await lookAgain(verbs, first);
  if (isCredentialError(result)) return failedRow(after, 'testFailing', result);
  return result.success
    ? row(after, judgePreflight(after, until), null)
    : row(after, notAlive('testFailing'), result.message);
}

/** What the record says then; where that cannot be read any more, what it said before. */
async function lookAgain(verbs: PreflightVerbs, before: CredentialSummary): Promise<CredentialSummary> {
  const found = await orError(verbs.get(before.id));
  return isCredentialError(found) ? before : found;
}

async function orError<T>(call: Promise<T>): Promise<T | CredentialError> {
  try {
    return await call;
  } catch (error) {
    const failure = toCredentialError(error);
    if (failure.code === 'ERR_ACCESS_SCOPE_MISSING' || ENDING.has(failure.name)) throw error;
    return failure;
  }
}

/** Not about one credential. */
const ENDING: ReadonlySet<string> = new Set(['StorageError', 'InternalError']);

function unreachable(id: string, { code, message: detail }: CredentialError): PreflightRow {
  const reason = code === 'ERR_CREDENTIAL_NOT_FOUND' ? 'notFound' : 'accessDenied';
  return { id, name: null, ...notAlive(reason, { code }), detail };
}

function failedRow(
  summary: CredentialSummary,
  reason: 'refreshFailing' | 'testFailing',
  { code, message }: CredentialError,
): PreflightRow {
  return row(summary, notAlive(reason, { code }), message);
}

function row(summary: CredentialSummary, judgement: PreflightJudgement, detail: string | null): PreflightRow {
  return { ...subjectOf(summary), ...judgement, detail: detail ?? failureOf(summary, judgement) };
}

function failureOf({ failure }: CredentialSummary, { code }: PreflightJudgement): string | null {
  return failure !== null && failure.code === code ? failure.message : null;
}
