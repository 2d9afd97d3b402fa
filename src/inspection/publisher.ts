import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Inspector } from '../lifecycle/inspect.ts';
import { silentLogger, systemClock, systemRandom, type Ports } from '../ports.ts';
import { publishEndpoint, type InspectionAddress } from './address.ts';
import { messageOf } from './messages.ts';
import { SeenActors } from './seen-actors.ts';

const AGAIN_MS = 2_000;
/** Bytes that may wait for a relay that does not read. */
const MOST_WAITING = 8 * 1_048_576;
/** The relay takes what it is sent within moments or not at all. */
const FAREWELL_MS = 1_000;
const HANDSHAKE_MS = 5_000;

/** What `publishInspection` needs of an engine. */
export interface Inspectable {
  inspect(inspector: Inspector): () => void;
}

export interface Publication {
  /** Settles when the relay was reached for the first time, or was not there. */
  readonly attempted: Promise<void>;
  /** Sends what waits, within a second, and ends. */
  close(): Promise<void>;
}

/**
 * Publishes the actors of an engine to the relay of `credlife inspect`. The engine never waits for it: without a relay the
 * newest is remembered and the relay is asked again every two seconds; with a relay that does not read, it is left and
 * asked again.
 */
export function publishInspection(
  engine: Inspectable,
  address: InspectionAddress,
  ports: Partial<Pick<Ports, 'clock' | 'random' | 'logger'>> = {},
): Publication {
  const { clock = systemClock, random = systemRandom, logger = silentLogger } = ports;
  return new Publisher(engine, address, { clock, random, logger });
}

class Publisher implements Publication {
  readonly attempted: Promise<void>;
  readonly #address: InspectionAddress;
  readonly #ports: Pick<Ports, 'clock' | 'random' | 'logger'>;
  readonly #seen = new SeenActors();
  readonly #stopInspecting: () => void;
  #socket: WebSocket;
  #cancelRetry: () => void = () => undefined;
  #complained = false;
  #closed = false;

  constructor(engine: Inspectable, address: InspectionAddress, ports: Pick<Ports, 'clock' | 'random' | 'logger'>) {
    this.#address = address;
    this.#ports = ports;
    const origin = ports.random.bytes(4).toString('hex');
    this.#stopInspecting = engine.inspect((inspected) => {
      const message = messageOf(inspected, origin, ports.clock.now());
      if (!message) return;
      const text = JSON.stringify(message);
      this.#seen.take(message, text);
      this.#send(text);
    });
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.attempted = promise;
    this.#socket = this.#connect(() => {
      resolve(undefined);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopInspecting();
    this.#cancelRetry();
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    const gone = once(socket, 'close');
    // A close frame goes out behind everything that waits.
    socket.close();
    const cancel = this.#ports.clock.schedule(
      FAREWELL_MS,
      () => {
        socket.terminate();
      },
      { keepAlive: true },
    );
    await gone;
    cancel();
  }

  #connect(attempted: () => void = () => undefined): WebSocket {
    const headers = { authorization: `Bearer ${this.#address.token.unwrap()}` };
    const options = { headers, handshakeTimeout: HANDSHAKE_MS, perMessageDeflate: false };
    const socket = new WebSocket(publishEndpoint(this.#address), options);
    socket.on('open', () => {
      this.#complained = false;
      for (const text of this.#seen.texts()) socket.send(text);
      attempted();
    });
    socket.on('error', () => {
      if (!this.#complained) this.#ports.logger.warn({}, 'The inspector cannot be reached; it is asked again.');
      this.#complained = true;
    });
    socket.on('close', () => {
      attempted();
      if (this.#closed) return;
      this.#cancelRetry = this.#ports.clock.schedule(AGAIN_MS, () => {
        this.#socket = this.#connect();
      });
    });
    return socket;
  }

  #send(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount <= MOST_WAITING) socket.send(text);
    else socket.terminate();
  }
}
