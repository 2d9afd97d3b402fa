/** Ends `serve`: by Ctrl-C, SIGTERM or a closed terminal, after the time of `--for`, or by hand. */
export interface StopSignal {
  readonly signal: AbortSignal;
  stop(): void;
  dispose(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED_EXIT_CODE = 130;
const LONG_MS = 3_600_000;

/** The first signal asks for an orderly end; the second one ends the process at once. */
export function stopSignal(durationMs: number | undefined): StopSignal {
  const controller = new AbortController();
  const stop = (): void => {
    controller.abort();
  };
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(INTERRUPTED_EXIT_CODE);
    stop();
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  // Neither signal handlers nor the engine's timers keep a process running; a service without a terminal has nothing else.
  const hold = setInterval(() => undefined, LONG_MS);
  const timer = durationMs === undefined ? undefined : setTimeout(stop, durationMs);
  return {
    signal: controller.signal,
    stop,
    dispose: () => {
      clearInterval(hold);
      clearTimeout(timer);
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}

/** Settles when the signal is given. */
export function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
