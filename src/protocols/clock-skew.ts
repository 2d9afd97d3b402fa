import type { Clock, Fetch, FetchInit } from '../ports.ts';

/** What another host's clock shows compared with ours. */
export interface Skew {
  /** How far that clock is ahead of ours; negative when it is behind. */
  readonly aheadMs: number;
  /** The truth is within this distance: `Date` has whole seconds, and the answer took its time. */
  readonly uncertaintyMs: number;
}

interface Sample extends Skew {
  readonly atWallMs: number;
  readonly atHostMs: number;
}

const SAMPLE_LIFE_MS = 3_600_000;
/** Wall clock and boot-time clock may part by this much before a sample is worth nothing: a step, or a suspended host. */
const STEP_MS = 2_000;
const HALF_SECOND_MS = 500;

/** Below this no protocol minds: servers grant it themselves. */
export const NOTABLE_SKEW_MS = 30_000;

/** The skew of each host's clock, learned from the `Date` header of its answers (RFC 9110 §6.6.1). */
export class ClockSkew {
  readonly #clock: Clock;
  readonly #samples = new Map<string, Sample>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The fetch, with every answer listened to. */
  learning(fetch: Fetch): Fetch {
    const listening = async (url: string, init?: FetchInit): Promise<Response> => {
      const sentAtMs = this.#clock.hostTime().ms;
      const response = await fetch(url, init);
      this.#learn(new URL(url).host, response.headers, this.#clock.hostTime().ms - sentAtMs);
      return response;
    };
    return Object.assign(listening, { connectsFirst: fetch.connectsFirst ?? false });
  }

  /** `null` while nothing is known: no answer yet, or our clock was set since. */
  of(host: string): Skew | null {
    const sample = this.#samples.get(host);
    if (sample === undefined) return null;
    const hostMs = this.#clock.hostTime().ms - sample.atHostMs;
    const wallMs = this.#clock.now().getTime() - sample.atWallMs;
    const isGood = hostMs < SAMPLE_LIFE_MS && Math.abs(wallMs - hostMs) < STEP_MS;
    return isGood ? { aheadMs: sample.aheadMs, uncertaintyMs: sample.uncertaintyMs } : null;
  }

  #learn(host: string, headers: Headers, tookMs: number): void {
    const date = headers.get('date');
    // A cache's answer tells when it was stored.
    if (date === null || Number(headers.get('age') ?? 0) > 0) return;
    const serverMs = /^[A-Z][a-z]{2}, /.test(date) ? Date.parse(date) : Number.NaN;
    if (Number.isNaN(serverMs)) return;
    const nowMs = this.#clock.now().getTime();
    const uncertaintyMs = HALF_SECOND_MS + tookMs / 2;
    const known = this.of(host);
    const aheadMs = serverMs + HALF_SECOND_MS - (nowMs - tookMs / 2);
    const contradicts = known !== null && Math.abs(aheadMs - known.aheadMs) > uncertaintyMs + known.uncertaintyMs;
    if (known !== null && !contradicts && known.uncertaintyMs < uncertaintyMs) return;
    this.#samples.set(host, { aheadMs, uncertaintyMs, atWallMs: nowMs, atHostMs: this.#clock.hostTime().ms });
  }
}

/** How far two clocks are apart for certain, or 0. */
export function certainSkewMs(skew: Skew | null): number {
  if (skew === null) return 0;
  return Math.sign(skew.aheadMs) * Math.max(Math.abs(skew.aheadMs) - skew.uncertaintyMs, 0);
}

/** One sentence for people when the clocks differ by so much that it matters; else `null`. */
export function describeSkew(skew: Skew | null, host: string): string | null {
  if (skew === null || Math.abs(certainSkewMs(skew)) < NOTABLE_SKEW_MS) return null;
  const { aheadMs } = skew;
  return `The clock here is ${spanOf(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of ${host}.`;
}

function spanOf(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
    ['seconds', 1_000],
  ];
  const [name, size] = units.find(([, unitMs]) => ms >= 2 * unitMs) ?? ['seconds', 1_000];
  return `${String(Math.round(ms / size))} ${name}`;
}
