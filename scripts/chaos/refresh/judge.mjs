// The invariants, judged from the issuer's own log; the database only tells what each credential says about itself.

/** @typedef {import('../../../test/servers/issuer/contract.ts').LogEntry} LogEntry */
/** @typedef {import('../../../test/servers/issuer/contract.ts').Family} Family */
/** @typedef {import('./crew.mjs').Blow} Blow */
/** @typedef {{ id: string, familyId: string, state: string, generation: number, code: string | null, dueAt?: string | null }} Seen */
/**
 * @typedef {object} JournalRow
 * @property {string} credentialId
 * @property {number} generation
 * @property {string} phase
 * @property {string | null} spentAt since when the token that it repeats is in doubt
 * @property {string | null} sentAt
 * @property {string} [claimedAt]
 * @property {number} [fence] */
/**
 * @typedef {object} Case
 * @property {LogEntry[]} log
 * @property {Family[]} families
 * @property {Seen[]} credentials
 * @property {JournalRow[]} journal
 * @property {Blow[]} blows
 * @property {Record<string, number>} graces reuse grace in ms by client id
 */

/**
 * Findings that a slow machine makes too: whoever took over came after the grace window, or was held up between check and
 * write. They count against a long run, but no short test may hang on them.
 */
export const isLate = (/** @type {string} */ finding) =>
  /^(a superseded token|a grant was lost in spite|a living grant was given up at a grace of [1-9])/.test(finding);

const LOST_STATES = ['valid.degraded', 'expired.needsUser'];
const AMBIGUOUS = 'ERR_OAUTH2_AMBIGUOUS_REFRESH';
/** A journal row is written before its request leaves, and a stopped process may lie between the two. */
const MAX_HOLD_MS = 10_000;
/** A journal row and the server's line about the same request may differ by this much. */
const CLOCK_MS = 50;

/** @param {Seen} credential */
export const isLost = ({ state, code }) => LOST_STATES.includes(state) && code !== null;

/**
 * Every broken invariant, in words; empty when all hold.
 * @param {Case} material
 * @returns {string[]}
 */
export function judge(material) {
  return [...judgeRepeats(material), ...judgeLosses(material), ...judgeClaims(material)];
}

/**
 * No refresh token is presented twice outside the grace window except in healing, and never by somebody who could have known
 * its successor.
 * @param {Case} material
 */
function judgeRepeats({ log, credentials, journal, blows, graces }) {
  const findings = [];
  const used = new Set();
  for (const entry of log.filter(({ use }) => use > 1)) {
    const at = Date.parse(entry.at);
    const where = `${entry.tokenId} of ${entry.familyId} by ${entry.presenter} (use ${entry.use}, ${entry.sinceFirstUseMs} ms after the first)`;
    const wasHeld = blows.some(
      ({ name, until, signal }) =>
        signal === 'SIGSTOP' && name === entry.presenter && until <= at + CLOCK_MS && at - until < MAX_HOLD_MS,
    );
    if (entry.successorWasUsed && !wasHeld && !isEnded(entry))
      findings.push(`a superseded token was presented: ${where}`);
    if ((entry.sinceFirstUseMs ?? 0) <= (graces[entry.clientId ?? ''] ?? 0)) continue;
    const ids = credentials.filter(({ familyId }) => familyId === entry.familyId).map(({ id }) => id);
    const healing = journal.find((row) => !used.has(row) && ids.includes(row.credentialId) && explains(row, at));
    if (healing) used.add(healing);
    else if (!wasHeld) findings.push(`a spent token was presented outside the grace window, not in healing: ${where}`);
  }
  return findings;
}

/** @param {LogEntry} entry */
const isEnded = ({ verdict }) => verdict === 'familyEnded';

/**
 * @param {JournalRow} row
 * @param {number} at
 */
function explains({ spentAt, sentAt }, at) {
  if (spentAt === null || sentAt === null) return false;
  const heldMs = at - Date.parse(sentAt);
  return heldMs > -CLOCK_MS && heldMs < MAX_HOLD_MS;
}

/**
 * The journal of the last refresh, for whoever has to find out what happened.
 * @param {Seen | undefined} credential
 * @param {JournalRow[]} journal
 */
function storyOf(credential, journal) {
  const rows = journal.filter(
    ({ credentialId, generation }) => credentialId === credential?.id && generation >= credential.generation,
  );
  return rows
    .map(
      ({ fence, generation, phase, claimedAt, sentAt, spentAt }) =>
        `${fence} for ${generation}: claimed ${claimedAt}, sent ${sentAt}, in doubt since ${spentAt}, ${phase}`,
    )
    .join('; ');
}

/**
 * Whether the last refresh met more than one blow: its journal shows holders in a row that took it and never told the end, or to
 * whom the server's answer came spoiled or turned away before the last one. A few of them outlast any grace window; no client can
 * help that.
 * @param {Seen | undefined} credential
 * @param {JournalRow[]} journal
 * @param {number} [until] when the grant ended, in ms: a holder that was stopped may have told of its success after that
 */
function wasStruckAgain(credential, journal, until = Number.POSITIVE_INFINITY) {
  const own = journal
    .filter(({ credentialId }) => credentialId === credential?.id)
    .toSorted((a, b) => (a.fence ?? 0) - (b.fence ?? 0));
  const sent = own.filter(({ sentAt }) => sentAt !== null && Date.parse(sentAt) <= until + CLOCK_MS);
  const struck = Number.isFinite(until) ? sent.at(-1)?.generation : (credential?.generation ?? 0) + 1;
  const attempts = own.filter(({ generation }) => generation === struck);
  const blows = attempts.filter(
    ({ phase, sentAt }, index) =>
      phase === 'sent' || phase === 'claimed' || (sentAt !== null && index < attempts.length - 1),
  );
  return blows.length > 1;
}

/**
 * No grant is lost to one blow where there is a grace window; where there is none, only those whose answer never arrived, and each says so.
 * @param {Case} material
 */
function judgeLosses({ log, families, credentials, journal, blows, graces }) {
  const findings = [];
  for (const family of families.filter(({ endedAt }) => endedAt !== null)) {
    const entries = log.filter(({ familyId }) => familyId === family.familyId);
    const reuse = entries.find(({ verdict }) => verdict === 'reuseDetected');
    const first = entries.find(({ tokenId, use }) => tokenId === reuse?.tokenId && use === 1);
    const where = `${family.familyId} at grace ${graces[family.clientId]} ms, first use by ${first?.presenter} at ${first?.at} (${first?.fault ?? 'no fault'}), again ${reuse?.sinceFirstUseMs} ms later by ${reuse?.presenter}`;
    const credential = credentials.find(({ familyId }) => familyId === family.familyId);
    if ((graces[family.clientId] ?? 0) > 0) {
      if (!wasStruckAgain(credential, journal, reuse && Date.parse(reuse.at)))
        findings.push(`a grant was lost in spite of a grace window: ${where}; ${storyOf(credential, journal)}`);
    } else if (!first || !wasCutOff(first, blows))
      findings.push(`a grant was lost although its answer arrived: ${where}`);
    if (credential?.code !== AMBIGUOUS)
      findings.push(
        `a lost grant does not say so: ${where}; it says ${credential?.state} ${credential?.code}; ${storyOf(credential, journal)}`,
      );
  }
  return findings;
}

/**
 * Whether an answer cannot have been kept: it never left, was no answer, or its reader was killed or stopped soon after.
 * @param {LogEntry} entry
 * @param {Blow[]} blows
 */
function wasCutOff(entry, blows) {
  const at = Date.parse(entry.at);
  const spoiled = entry.fault !== null && !entry.fault.startsWith('delay');
  // A request of somebody who was killed may come in after his death.
  const struck = (/** @type {Blow} */ { name, signal, until, at: blowAt }) =>
    name === entry.presenter && (signal === 'SIGKILL' || until >= at) && blowAt - at < MAX_HOLD_MS;
  return spoiled || !entry.delivered || blows.some(struck);
}

/**
 * The living grants that were given up: those say that they are lost, and the issuer does not.
 * @param {Pick<Case, 'credentials' | 'families'>} material
 */
function givenUp({ credentials, families }) {
  const living = new Set(families.filter(({ endedAt }) => endedAt === null).map(({ familyId }) => familyId));
  return credentials.filter((credential) => isLost(credential) && living.has(credential.familyId));
}

/**
 * A living grant is given up only when the same token was presented twice and both answers were cut off: a third try would be
 * taken for theft. With a grace window that takes two blows to one refresh within the window.
 * @param {Case} material
 */
function judgeClaims({ log, families, credentials, journal, blows, graces }) {
  const findings = [];
  for (const credential of givenUp({ credentials, families })) {
    const entries = log.filter(({ familyId }) => familyId === credential.familyId);
    const last = entries.filter(({ tokenId }) => tokenId === entries.at(-1)?.tokenId);
    const sent = journal.filter(
      ({ credentialId, generation, sentAt }) =>
        credentialId === credential.id && generation === credential.generation + 1 && sentAt !== null,
    );
    const unanswered = sent.length > 1 && last.every((entry) => wasCutOff(entry, blows));
    if (unanswered && credential.code === AMBIGUOUS) continue;
    const client = families.find(({ familyId }) => familyId === credential.familyId)?.clientId ?? '';
    const story = last.map(({ at, presenter, verdict, fault, delivered }) =>
      [at, presenter, verdict, fault ?? 'no fault', delivered ? 'delivered' : 'not delivered'].join(' '),
    );
    findings.push(
      `a living grant was given up at a grace of ${graces[client]} ms: ${credential.id} of ${credential.familyId} says ${credential.code} after ${story.join('; ')}`,
    );
  }
  return findings;
}

/**
 * How long each refresh lay that was cut off after it was sent, in ms: from its journal row to that of whoever took it over.
 * @param {JournalRow[]} journal
 * @param {Set<string>} ids
 */
function interruptions(journal, ids) {
  const rows = journal
    .filter(({ credentialId }) => ids.has(credentialId))
    .toSorted((a, b) => a.credentialId.localeCompare(b.credentialId) || (a.fence ?? 0) - (b.fence ?? 0));
  return rows.flatMap(({ credentialId, generation, phase, sentAt }, index) => {
    const next = rows[index + 1];
    const isTakenOver = next?.credentialId === credentialId && next.generation === generation;
    if (!isTakenOver || phase !== 'sent' || sentAt === null) return [];
    return [Date.parse(next.claimedAt ?? '') - Date.parse(sentAt)];
  });
}

/**
 * What happened, in numbers, for each client of the issuer.
 * @param {Case} material
 */
export function figures({ log, families, credentials, journal, graces }) {
  const count = (/** @type {LogEntry[]} */ entries, /** @type {string} */ verdict) =>
    entries.filter((entry) => entry.verdict === verdict).length;
  return Object.entries(graces).map(([clientId, graceMs]) => {
    const entries = log.filter((entry) => entry.clientId === clientId);
    const own = new Set(families.filter((family) => family.clientId === clientId).map(({ familyId }) => familyId));
    const lost = credentials.filter((credential) => own.has(credential.familyId) && isLost(credential));
    const ids = new Set(credentials.filter(({ familyId }) => own.has(familyId)).map(({ id }) => id));
    const endOf = (/** @type {Seen} */ { familyId }) => {
      const endedAt = families.find((family) => family.familyId === familyId)?.endedAt;
      return endedAt ? Date.parse(endedAt) : undefined;
    };
    const takenOverMs = interruptions(journal, ids).toSorted((a, b) => a - b);
    return {
      graceMs,
      grants: own.size,
      requests: entries.length,
      takenOver: takenOverMs.length,
      takenOverMedianMs: takenOverMs[Math.floor(takenOverMs.length / 2)] ?? null,
      takenOverMostMs: takenOverMs.at(-1) ?? null,
      rotated: count(entries, 'rotated'),
      healed: count(entries, 'reanswered'),
      turnedAway: count(entries, 'turnedAway'),
      presentedOutsideGrace: count(entries, 'reuseDetected') + count(entries, 'familyEnded'),
      answersSpoiled: entries.filter(({ fault, verdict }) => fault !== null && verdict === 'rotated').length,
      lost: lost.length,
      lostToSeveralBlows: lost.filter((credential) => wasStruckAgain(credential, journal, endOf(credential))).length,
      lostThoughAlive: givenUp({ credentials: lost, families }).length,
      lostSaysAmbiguous: lost.filter(({ code }) => code === AMBIGUOUS).length,
    };
  });
}
