import type { CredentialSummary } from '../client.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { layOut, type Cell } from './columns.ts';
import { printLine, widthOf, type CommandContext } from './context.ts';
import { printable } from './printable.ts';
import { rotationFacts } from './rotation-words.ts';
import {
  credentialStateCell,
  expiryCell,
  lastEventCell,
  nextActionCell,
  protocolCell,
  reasonText,
} from './state-words.ts';
import { troubleLines } from './credential-table.ts';
import { isWatched, lastTestCell, watchedStateCell, type WatchedRow } from './watched-words.ts';

/** Prints one credential for people: a line per fact, then what is wrong and what to do. */
export function printDetails(
  context: CommandContext,
  credential: CredentialSummary,
  lastEvent: CredentialEvent | null,
  now: Date,
  lastTest: TestResult | null = null,
): void {
  const width = widthOf(context.output);
  const rows = Object.entries(
    isWatched(credential) ? watchedFacts({ credential, lastTest }, now) : facts(credential, lastEvent, now),
  ).map(([name, cell]): Cell[] => [
    { text: name, tone: 'quiet' },
    { ...cell, text: printable(cell.text) },
  ]);
  const [, ...lines] = layOut([{ title: '' }, { title: '', leastWidth: 10 }], rows, width, context.style);
  for (const line of lines) printLine(context.output, line);
  for (const line of troubleLines([{ credential, lastEvent, lastTest }], { width, style: context.style })) {
    printLine(context.output, line);
  }
}

function facts(credential: CredentialSummary, lastEvent: CredentialEvent | null, now: Date): Record<string, Cell> {
  const { expiresAt, tags, ownerId, scopeId } = credential;
  const expiry = expiryCell(credential, now);
  return {
    name: { text: credential.name, tone: 'strong' },
    id: { text: credential.id },
    protocol: protocolCell(credential.protocol),
    endpoint: { text: credential.endpoint },
    state: credentialStateCell(credential),
    because: { text: reasonText(credential.reason) },
    health: { text: credential.health },
    generation: { text: String(credential.generation) },
    'expires in': expiresAt === null ? expiry : { text: `${expiry.text} (${expiresAt.toISOString()})` },
    'next action': nextActionCell(credential, now),
    ...rotationFacts(credential, now),
    'last event': lastEventCell(lastEvent, now),
    'registered at': { text: credential.createdAt.toISOString() },
    ...(ownerId !== null && { owner: { text: ownerId } }),
    ...(scopeId !== null && { scope: { text: scopeId } }),
    ...endFacts(credential),
    ...(tags.length > 0 && { tags: { text: tags.join(', ') } }),
  };
}

/** Of a credential that n8n keeps: what its tests show, and nothing of a grant, which is not here. */
function watchedFacts(row: WatchedRow, now: Date): Record<string, Cell> {
  const { credential, lastTest } = row;
  return {
    name: { text: credential.name, tone: 'strong' },
    id: { text: credential.id },
    protocol: protocolCell(credential.protocol),
    'in n8n': { text: credential.endpoint },
    ...(lastTest?.details.metadata['type'] !== undefined && { type: { text: lastTest.details.metadata['type'] } }),
    state: watchedStateCell(row),
    since: { text: credential.healthChangedAt?.toISOString() ?? '–' },
    'last test': lastTestCell(row, now),
    result: { text: lastTest?.message ?? '–' },
  };
}

/** The ends that are known, besides that of the token. */
function endFacts({ grantExpiresAt, idleExpiresAt, secretExpiresAt }: CredentialSummary): Record<string, Cell> {
  return {
    ...(grantExpiresAt !== null && { 'grant ends at': { text: grantExpiresAt.toISOString() } }),
    ...(idleExpiresAt !== null && { 'lapses unused at': { text: idleExpiresAt.toISOString() } }),
    ...(secretExpiresAt !== null && { 'secret ends at': { text: secretExpiresAt.toISOString() } }),
  };
}
