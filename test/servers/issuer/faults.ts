import { issuerFaultsSchema, type IssuerFault } from './contract.ts';
import { seededRandom } from './random.ts';

const NONE = issuerFaultsSchema.parse({});

/** Which fault each request meets, and how long it takes. */
export class Faults {
  readonly #random: () => number;
  #plan = NONE;
  #next: IssuerFault[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** Replaces the plan that was there. */
  set(plan: typeof NONE): void {
    this.#plan = plan;
    this.#next = [...plan.next];
  }

  take(): IssuerFault | null {
    const waiting = this.#next.shift();
    if (waiting) return waiting;
    let roll = this.#random();
    for (const { fault, chance } of this.#plan.byChance) {
      if (roll < chance) return fault;
      roll -= chance;
    }
    return null;
  }

  latencyMs(): number {
    const [least, most] = this.#plan.latencyMs;
    return Math.round(least + (most - least) * this.#random());
  }
}

/** How the log calls a fault. */
export function nameOf(fault: IssuerFault): string {
  switch (fault.kind) {
    case 'drop':
      return fault.afterRotating ? 'drop after rotating' : 'drop';
    case 'delay':
      return `delay ${String(fault.ms)} ms`;
    case 'corrupt':
      return `corrupt (${fault.how})`;
    case 'status':
      return fault.afterRotating ? `HTTP ${String(fault.status)} after rotating` : `HTTP ${String(fault.status)}`;
  }
}

/** Whether the fault keeps the issuer from doing any work. */
export function isBeforeWork(fault: IssuerFault): boolean {
  return (fault.kind === 'drop' || fault.kind === 'status') && !fault.afterRotating;
}
