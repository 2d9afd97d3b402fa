import type { CredentialSummary } from '../../client.ts';
import type { CredentialEngine } from '../../engine.ts';
import type { LifecycleState } from '../../lifecycle/credential.ts';
import { systemClock } from '../../ports.ts';
import type { CommandContext } from '../context.ts';
import { rowOf, type CredentialRow } from '../credential-table.ts';
import { attentionRank } from '../state-words.ts';
import { composeFrame, totalOf, type FrameContent } from './frame.ts';
import type { SandboxSession } from './sandbox-session.ts';
import { Redrawing } from './redrawing.ts';
import { Screen } from './screen.ts';
import type { View } from './view.ts';

/** The order in which the states get the room that there is. */
const BY_URGENCY: readonly LifecycleState[] = ['expired', 'pending', 'refreshing', 'valid', 'revoked'];

/** The live table on a terminal, redrawn in place every second and after each event. */
export class LiveTable implements View {
  readonly #context: CommandContext;
  readonly #engine: CredentialEngine;
  readonly #sandbox: SandboxSession | null;
  readonly #screen: Screen;
  readonly #redrawing: Redrawing;

  constructor(context: CommandContext, engine: CredentialEngine, sandbox: SandboxSession | null) {
    this.#context = context;
    this.#engine = engine;
    this.#sandbox = sandbox;
    this.#screen = new Screen(context.output);
    this.#redrawing = new Redrawing(this.#screen, engine, () => this.#frame());
  }

  /** Draws a last frame, which stays. */
  close(): Promise<void> {
    return this.#redrawing.close();
  }

  async #frame(): Promise<string[]> {
    const { width, height } = this.#screen;
    return composeFrame(await this.#content(height), { width, height }, this.#context.style);
  }

  async #content(height: number): Promise<FrameContent> {
    const counts = await this.#engine.countByState();
    const rows: CredentialRow[] = [];
    for (const credential of await this.#shown(totalOf(counts), height)) {
      rows.push(await rowOf(this.#engine, credential));
    }
    const sandbox = this.#sandbox && {
      issuer: this.#sandbox.server.issuer,
      statistics: await this.#sandbox.statistics(),
    };
    return { now: systemClock.now(), counts, rows, sandbox };
  }

  /** At most `height` credentials, however many there are. */
  async #shown(total: number, height: number): Promise<CredentialSummary[]> {
    const filters = total <= height ? [{}] : BY_URGENCY.map((state) => ({ state }));
    const pages = await Promise.all(filters.map((filter) => this.#engine.list({ ...filter, limit: height })));
    const credentials = pages.flatMap((page) => page.credentials).slice(0, height);
    return inOrder(credentials, total <= height / 2);
  }
}

/** By age while all fit well, so that nothing moves; otherwise what needs attention comes first. */
function inOrder(credentials: readonly CredentialSummary[], roomy: boolean): CredentialSummary[] {
  const byAge = credentials.toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  return roomy ? byAge : byAge.sort((a, b) => attentionRank(a.state) - attentionRank(b.state));
}
