// The plot of bench/expiry.mjs: what was due, what was asked, and when tokens ended, each per second.

const WIDTH = 880;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 16;
const TOP = 44;
const BOTTOM = 40;
const LONGEST_SECONDS = 400;

/**
 * @param {{ startMs: number, planned: number[], times: number[], ends: number[], perSecond: number }} measured
 * @returns {string} an SVG document
 */
export function drawExpiry({ startMs, planned, times, ends, perSecond }) {
  const due = perSecondOf(planned, startMs);
  const asked = perSecondOf(times, startMs);
  const end = perSecondOf(ends, startMs);
  const most = Math.max(...due, ...asked, ...end, perSecond) * 1.1;
  const x = (second) => LEFT + (second / LONGEST_SECONDS) * (WIDTH - LEFT - RIGHT);
  const y = (rate) => HEIGHT - BOTTOM - (rate / most) * (HEIGHT - TOP - BOTTOM);
  const steps = (rates) => rates.map((rate, second) => `${x(second).toFixed(1)},${y(rate).toFixed(1)}`).join(' ');
  const text = (left, top, words, more = '') => `<text x="${left}" y="${top}" ${more}>${words}</text>`;
  const level = (rate) =>
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(rate)}" y2="${y(rate)}" stroke="#ddd"/>` +
    text(LEFT - 8, y(rate) + 4, rate, 'text-anchor="end"');
  const levels = [0, 50, 100, 150, 200].filter((rate) => rate < most);
  const marks = [0, 50, 100, 150, 200, 250, 300, 350, 400];
  const legend = [
    ['#2563eb', 'requests that reached the server'],
    ['#9ca3af', 'due, as planned'],
    ['#dc2626', 'tokens that ended (all had been replaced)'],
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    ...levels.map(level),
    ...marks.map((second) => text(x(second), HEIGHT - BOTTOM + 18, `${second} s`, 'text-anchor="middle"')),
    `<polyline points="${steps(due)}" fill="none" stroke="#9ca3af"/>`,
    `<polyline points="${steps(end)}" fill="none" stroke="#dc2626"/>`,
    `<polyline points="${steps(asked)}" fill="none" stroke="#2563eb" stroke-width="1.5"/>`,
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(perSecond)}" y2="${y(perSecond)}" stroke="#111" stroke-dasharray="6 4"/>`,
    text(WIDTH - RIGHT, y(perSecond) - 6, `budget: ${perSecond} per second`, 'text-anchor="end"'),
    ...legend.flatMap(([colour, words], index) => [
      `<rect x="${LEFT + index * 250}" y="14" width="14" height="4" fill="${colour}"/>`,
      text(LEFT + 20 + index * 250, 20, words),
    ]),
    '</svg>',
    '',
  ].join('\n');
}

/** Events in each second, averaged over the two seconds of the budget's window. */
function perSecondOf(instants, startMs) {
  const counts = Array.from({ length: LONGEST_SECONDS }, () => 0);
  for (const instant of instants) {
    const second = Math.floor((instant - startMs) / 1_000);
    if (second >= 0 && second < LONGEST_SECONDS) counts[second] += 1;
  }
  return counts.map((count, second) => (count + (counts[second - 1] ?? count)) / 2);
}
