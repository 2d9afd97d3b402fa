// Measures competitors against each other in one process: each round runs all of them, one after the other, so that what
// slows the machine slows them all. The figure is the median over the rounds, ratios are taken within a round.

/** Keeps results alive, so that no engine can leave the work out. */
export const sink = { value: undefined };

/**
 * @param {{ name: string, run: () => unknown | Promise<unknown> }[]} competitors
 * @param {{ rounds?: number, roundMs?: number }} [options]
 * @returns {Promise<{ name: string, perSecond: number, rounds: number[] }[]>}
 */
export async function race(competitors, { rounds = 7, roundMs = 400 } = {}) {
  const figures = competitors.map(({ name }) => ({ name, perSecond: 0, rounds: [] }));
  // The first round warms up and does not count.
  for (let round = -1; round < rounds; round += 1) {
    for (const [index, { run }] of competitors.entries()) {
      const perSecond = await measure(run, round < 0 ? roundMs / 2 : roundMs);
      if (round >= 0) figures[index].rounds.push(perSecond);
    }
  }
  for (const figure of figures) figure.perSecond = median(figure.rounds);
  return figures;
}

async function measure(run, forMs) {
  let batch = 1;
  let calls = 0;
  const startedAt = performance.now();
  for (;;) {
    for (let call = 0; call < batch; call += 1) {
      const result = run();
      // An await costs what a promise costs: only who returns one pays for it.
      sink.value = result instanceof Promise ? await result : result;
    }
    calls += batch;
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs >= forMs) return (calls / elapsedMs) * 1_000;
    batch = Math.max(1, Math.min(batch * 2, Math.ceil((calls / elapsedMs) * 10)));
  }
}

/** Median over the rounds of one competitor's rate divided by the other's, in the same round. */
export function ratio(one, other) {
  return median(one.rounds.map((rate, round) => rate / other.rounds[round]));
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {string[]} header @param {(string | number)[][]} rows */
export function markdownTable(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

export function perSecond(figure) {
  return `${Math.round(figure.perSecond).toLocaleString('en')}/s`;
}
