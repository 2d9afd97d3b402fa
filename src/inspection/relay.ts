import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { silentLogger, systemClock, systemRandom, type Ports } from '../ports.ts';
import { Secret } from '../secret.ts';
import { PUBLISH_PATH, publisherUrl, viewerUrl, type InspectionAddress } from './address.ts';
import { Gate, requestedUrl } from './gate.ts';
import { listenOnLoopback } from './listening.ts';
import { pageHeaders, pageHtml } from './page.ts';
import { Switchboard, type Traffic } from './switchboard.ts';

const TOKEN_BYTES = 32;
const MOST_CONNECTIONS = 128;

export interface RelayOptions {
  /** 0 or absent: a free one. */
  readonly port?: number;
  /** Absent: 32 random bytes, made for this start. */
  readonly token?: Secret<string>;
  readonly ports?: Partial<Pick<Ports, 'clock' | 'random' | 'logger'>>;
}

/**
 * Passes what engines publish on to whoever watches: the relay of the Stately inspector, listening on loopback only and
 * behind a token.
 *
 * @example
 * const relay = await InspectionRelay.start();
 * const publication = publishInspection(engine, relay.address);
 * console.log(relay.viewerUrl);
 */
export class InspectionRelay {
  readonly address: InspectionAddress;
  readonly #servers: readonly Server[];
  readonly #switchboard: Switchboard;

  private constructor(address: InspectionAddress, servers: readonly Server[], switchboard: Switchboard) {
    this.address = address;
    this.#servers = servers;
    this.#switchboard = switchboard;
  }

  /** @throws ConfigurationError `ERR_INSPECT_PORT_TAKEN` */
  static async start(options: RelayOptions = {}): Promise<InspectionRelay> {
    const { clock = systemClock, random = systemRandom, logger = silentLogger } = options.ports ?? {};
    const token = options.token ?? Secret.of(random.bytes(TOKEN_BYTES).toString('base64url'));
    const doors: { gate: Gate | null } = { gate: null };
    const switchboard = new Switchboard({ clock, logger });
    const desk = new Desk(() => doors.gate, switchboard, { random, logger });
    const { port, servers } = await listenOnLoopback(() => desk.server(), options.port ?? 0);
    doors.gate = new Gate(port, token);
    return new InspectionRelay({ host: '127.0.0.1', port, token }, servers, switchboard);
  }

  /** What a person opens in a browser. It holds the token. */
  get viewerUrl(): string {
    return viewerUrl(this.address);
  }

  /** What engines of other processes get as `CREDLIFE_INSPECT`. It holds the token. */
  get publisherUrl(): string {
    return publisherUrl(this.address);
  }

  /** Tells who is connected, each time that it changes. Returns the function that ends it. */
  onTraffic(listener: (traffic: Traffic) => void): () => void {
    return this.#switchboard.onTraffic(listener);
  }

  async close(): Promise<void> {
    this.#switchboard.close();
    await Promise.all(this.#servers.map((server) => closed(server)));
  }
}

/** Takes requests: the page, and the upgrades to WebSockets. */
class Desk {
  readonly #gate: () => Gate | null;
  readonly #switchboard: Switchboard;
  readonly #ports: Pick<Ports, 'random' | 'logger'>;

  constructor(gate: () => Gate | null, switchboard: Switchboard, ports: Pick<Ports, 'random' | 'logger'>) {
    this.#gate = gate;
    this.#switchboard = switchboard;
    this.#ports = ports;
  }

  server(): Server {
    const server = createServer((request, response) => {
      this.#answer(request, response);
    });
    server.maxConnections = MOST_CONNECTIONS;
    return server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head);
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const status = this.#statusOf(request);
    const isPage = requestedUrl(request.url ?? '')?.pathname === '/';
    if (status !== 200 || !isPage) {
      response.writeHead(status === 200 ? 404 : status, { 'Cache-Control': 'no-store' }).end();
      return;
    }
    const nonce = this.#ports.random.bytes(16).toString('base64url');
    response.writeHead(200, pageHeaders(nonce, request.headers.host ?? '')).end(pageHtml(nonce));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // A peer that goes away in the middle is no failure of ours.
    socket.on('error', () => undefined);
    const status = this.#statusOf(request);
    const path = requestedUrl(request.url ?? '')?.pathname;
    if (status === 200 && path === '/') this.#switchboard.admitViewer(request, socket, head);
    else if (status === 200 && path === PUBLISH_PATH) this.#switchboard.admitPublisher(request, socket, head);
    else turnAway(socket, status === 200 ? 404 : status);
  }

  #statusOf(request: IncomingMessage): number {
    const gate = this.#gate();
    if (!gate) return 503;
    const refusal = gate.refusalOf(request);
    if (!refusal) return 200;
    this.#ports.logger.warn({ reason: refusal.reason }, 'The inspector turned a request away.');
    return refusal.status;
  }
}

function turnAway(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}
