import type { CredentialEngine } from '../../engine.ts';
import type { Screen } from './screen.ts';

const REDRAW_MS = 1_000;
const AFTER_EVENT_MS = 50;

/** A frame on a terminal, redrawn in place every second and after each event of the engine. */
export class Redrawing {
  readonly #screen: Screen;
  readonly #frame: () => Promise<string[]>;
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #drawing: Promise<void> = Promise.resolve();

  constructor(screen: Screen, engine: CredentialEngine, frame: () => Promise<string[]>) {
    this.#screen = screen;
    this.#frame = frame;
    this.#unsubscribe = engine.on('*', () => {
      this.soon();
    });
    this.#plan(0);
  }

  /** Something of the frame has changed. */
  soon(): void {
    this.#plan(AFTER_EVENT_MS);
  }

  /** Draws a last frame, which stays. */
  async close(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#drawing;
    // A redraw that was under way has planned the next one.
    clearTimeout(this.#timer);
    this.#screen.draw(await this.#frame());
    this.#screen.close();
  }

  #plan(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#drawing = this.#drawing.then(() => this.#redraw());
    }, delayMs);
  }

  async #redraw(): Promise<void> {
    this.#plan(REDRAW_MS);
    try {
      this.#screen.draw(await this.#frame());
    } catch {
      // A store that is busy for a moment must not end the table: the last frame stays, and its clock shows its age.
    }
  }
}
