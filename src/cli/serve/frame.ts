import stringWidth from 'string-width';
import { STATE_NAMES } from '../../lifecycle/credential.ts';
import type { SandboxStatistics } from '../../sandbox/statistics.ts';
import type { StateCounts } from '../../storage/record-store.ts';
import { truncate } from '../columns.ts';
import { credentialTable, troubleLines, type CredentialRow } from '../credential-table.ts';
import type { Style } from '../style.ts';

export interface SandboxView {
  readonly issuer: string;
  /** `null` while the sandbox does not answer. */
  readonly statistics: SandboxStatistics | null;
}

export interface FrameContent {
  readonly now: Date;
  readonly counts: StateCounts;
  readonly rows: readonly CredentialRow[];
  readonly sandbox: SandboxView | null;
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

const NO_CREDENTIALS =
  'No credentials yet. In another terminal: credlife register --name NAME --issuer URL --client-id ID';

/** One frame of the live table: head, table, what needs a person, foot; never more than `height` lines. */
export function composeFrame(content: FrameContent, { width, height }: FrameSize, style: Style): string[] {
  const head = [headLine(content, width, style), ''];
  const foot = ['', footLine(content.sandbox, width, style)];
  const room = Math.max(1, height - head.length - foot.length);
  const body =
    content.rows.length === 0 ? [truncate(NO_CREDENTIALS, width)] : bodyLines(content, { width, height: room }, style);
  return [...head, ...body.slice(0, room), ...foot].slice(0, height);
}

function bodyLines({ rows, now, counts }: FrameContent, { width, height }: FrameSize, style: Style): string[] {
  const total = totalOf(counts);
  const space = height - 1;
  const shown = rows.slice(0, total > space ? Math.max(1, space - 1) : space);
  const table = credentialTable(shown, { now, width, style });
  const more = total > shown.length ? [style('quiet', `… and ${total - shown.length} more: credlife list`)] : [];
  const troubles = troubleLines(shown, { width, style });
  const left = height - table.length - more.length - 1;
  return [...table, ...more, ...(left > 0 && troubles.length > 0 ? ['', ...troubles.slice(0, left)] : [])];
}

function headLine({ counts, now }: FrameContent, width: number, style: Style): string {
  const clock = now.toTimeString().slice(0, 8);
  const text = truncate(`credlife serve: ${countsText(counts)}`, width - clock.length - 2);
  const gap = ' '.repeat(Math.max(1, width - stringWidth(text) - clock.length));
  return style('strong', text) + gap + style('quiet', clock);
}

function footLine(sandbox: SandboxView | null, width: number, style: Style): string {
  const end = 'Ctrl-C ends';
  if (sandbox === null) return style('quiet', end);
  const { statistics, issuer } = sandbox;
  const facts = statistics === null ? 'does not answer' : statisticsText(statistics);
  const text = truncate(`sandbox ${issuer.replace('http://', '')}: ${facts}`, width - end.length - 2);
  return style('quiet', text + ' '.repeat(Math.max(1, width - stringWidth(text) - end.length)) + end);
}

/** Credentials by state in words: `4 credentials: 2 valid, 1 pending, 1 expired`. */
export function countsText(counts: StateCounts): string {
  const total = totalOf(counts);
  const order = ['valid', ...STATE_NAMES.filter((state) => state !== 'valid')] as const;
  const parts = order.filter((state) => counts[state] > 0).map((state) => `${counts[state]} ${state}`);
  return `${total} ${total === 1 ? 'credential' : 'credentials'}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}`;
}

export function statisticsText({ requests, spentTokensPresented }: SandboxStatistics): string {
  return `${requests} requests, spent tokens presented: ${spentTokensPresented}`;
}

export function totalOf(counts: StateCounts): number {
  return STATE_NAMES.reduce((sum, state) => sum + counts[state], 0);
}
