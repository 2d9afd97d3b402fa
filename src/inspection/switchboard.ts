import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Ports } from '../ports.ts';
import { inspectionMessageSchema, PROTOCOL_VERSION, type InspectionMessage } from './messages.ts';
import { endsRoot, SeenActors } from './seen-actors.ts';

/** A message is a few kilobytes; a viewer says nothing at all. */
const LONGEST_MESSAGE = 1_048_576;
const LONGEST_FROM_VIEWER = 1_024;
/** Bytes that may wait for a viewer who does not read. */
const MOST_WAITING = 16 * 1_048_576;
const MOST_VIEWERS = 16;
const MOST_PUBLISHERS = 64;
/** For the answer to a farewell; who does not read does not answer. */
const FAREWELL_MS = 500;
const HEARTBEAT_MS = 30_000;
/** RFC 6455 §7.4.1, and 1013 of the IANA registry. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;

/** Who is connected. */
export interface Traffic {
  readonly publishers: number;
  readonly viewers: number;
}

/**
 * Connects publishers with viewers. A viewer first gets what it missed; one that does not read is dropped. A publisher is
 * never answered, so that no engine waits; one that says what is no message is dropped.
 */
export class Switchboard {
  readonly #ports: Pick<Ports, 'clock' | 'logger'>;
  readonly #publishing = new WebSocketServer({ noServer: true, maxPayload: LONGEST_MESSAGE });
  readonly #viewing = new WebSocketServer({ noServer: true, maxPayload: LONGEST_FROM_VIEWER });
  readonly #silent = new Set<WebSocket>();
  readonly #seen = new SeenActors();
  readonly #listeners = new Set<(traffic: Traffic) => void>();
  #cancelHeartbeat: () => void;

  constructor(ports: Pick<Ports, 'clock' | 'logger'>) {
    this.#ports = ports;
    this.#cancelHeartbeat = this.#planHeartbeat();
  }

  onTraffic(listener: (traffic: Traffic) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  admitViewer(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#viewing.handleUpgrade(request, socket, head, (viewer) => {
      this.#welcome(viewer, this.#viewing, MOST_VIEWERS);
      viewer.on('message', () => {
        viewer.close(POLICY_VIOLATION, 'viewers say nothing');
      });
      for (const text of this.#seen.texts()) viewer.send(text);
    });
  }

  admitPublisher(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#publishing.handleUpgrade(request, socket, head, (publisher) => {
      this.#welcome(publisher, this.#publishing, MOST_PUBLISHERS);
      const living = new Set<string>();
      publisher.on('message', (data, isBinary) => {
        const message = isBinary ? null : messageIn(data);
        if (!message) publisher.close(POLICY_VIOLATION, 'this is no inspection message');
        else this.#relay(message, living);
      });
      publisher.on('close', () => {
        for (const rootId of living) this.#relay(this.#ended(rootId), living);
      });
    });
  }

  close(): void {
    this.#cancelHeartbeat();
    const peers = this.#peers();
    for (const peer of peers) peer.close(GOING_AWAY, 'the inspector has ended');
    const endAll = (): void => {
      for (const peer of peers) peer.terminate();
    };
    this.#ports.clock.schedule(FAREWELL_MS, endAll, { keepAlive: true });
  }

  #welcome(peer: WebSocket, server: WebSocketServer, most: number): void {
    const tell = (): void => {
      const traffic = { publishers: this.#publishing.clients.size, viewers: this.#viewing.clients.size };
      for (const listener of this.#listeners) listener(traffic);
    };
    peer.on('error', () => undefined);
    peer.on('close', tell);
    peer.on('pong', () => {
      this.#silent.delete(peer);
    });
    tell();
    if (server.clients.size > most) peer.close(TRY_AGAIN_LATER, 'too many are connected');
  }

  #relay(message: InspectionMessage, living: Set<string>): void {
    const { sessionId, rootId = sessionId } = message;
    if (message.type === '@xstate.actor') living.add(rootId);
    if (endsRoot(message)) living.delete(rootId);
    const text = JSON.stringify(message);
    this.#seen.take(message, text);
    for (const viewer of this.#viewing.clients) this.#send(viewer, text);
  }

  #send(viewer: WebSocket, text: string): void {
    if (viewer.readyState !== viewer.OPEN) return;
    if (viewer.bufferedAmount <= MOST_WAITING) {
      viewer.send(text);
      return;
    }
    this.#ports.logger.warn({}, 'A viewer of the inspector does not read and was dropped.');
    viewer.terminate();
  }

  /** What a publisher that has gone can no longer say itself. */
  #ended(rootId: string): InspectionMessage {
    return {
      type: '@xstate.snapshot',
      sessionId: rootId,
      rootId,
      createdAt: this.#ports.clock.now().getTime().toString(),
      _version: PROTOCOL_VERSION,
      event: { type: 'publisher.gone' },
      snapshot: { status: 'stopped' },
    };
  }

  /** Ends connections whose other side went without a word. */
  #planHeartbeat(): () => void {
    return this.#ports.clock.schedule(HEARTBEAT_MS, () => {
      for (const peer of this.#silent) peer.terminate();
      this.#silent.clear();
      for (const peer of this.#peers()) {
        this.#silent.add(peer);
        peer.ping();
      }
      this.#cancelHeartbeat = this.#planHeartbeat();
    });
  }

  #peers(): WebSocket[] {
    return [...this.#publishing.clients, ...this.#viewing.clients];
  }
}

function messageIn(data: RawData): InspectionMessage | null {
  if (!Buffer.isBuffer(data)) return null;
  try {
    const parsed: unknown = JSON.parse(data.toString('utf8'));
    return inspectionMessageSchema.parse(parsed);
  } catch {
    return null;
  }
}
