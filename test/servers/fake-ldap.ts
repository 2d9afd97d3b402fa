import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { elementsBetween, encodeElement, readHeader } from '../../src/protocols/ldap/ber.ts';
import type { KeyPair } from './certificate-authority.ts';

export const OPERATIONS = { bind: 0x60, search: 0x63, extended: 0x77, unbind: 0x42, abandon: 0x50 } as const;

const START_TLS = '1.3.6.1.4.1.1466.20037';

/** One request as it came in. */
export interface Pdu {
  readonly connection: number;
  readonly id: number;
  readonly operation: number;
  readonly bytes: Buffer;
}

export interface Script {
  /** With it the server speaks TLS from the first byte. */
  readonly ldaps?: KeyPair;
  /** The certificate after StartTLS; without it StartTLS is refused. */
  readonly startTls?: KeyPair;
  /** What goes out instead of the answer to StartTLS. */
  readonly onStartTls?: (socket: Socket, id: number) => void;
  /** What goes out in answer to a request; `undefined`: the usual. */
  readonly answer?: (pdu: Pdu, socket: Socket) => Buffer | undefined;
}

/** A server that follows a script and keeps a list of what it was sent. Its usual answers are those of a friendly one. */
export class FakeLdapServer {
  readonly pdus: Pdu[] = [];
  connections = 0;
  readonly #server: Server;
  readonly #script: Script;
  readonly #sockets = new Set<Socket>();

  private constructor(script: Script) {
    this.#script = script;
    const accept = (socket: Socket): void => {
      this.connections += 1;
      this.#serve(socket, this.connections);
    };
    this.#server =
      script.ldaps === undefined
        ? createServer(accept)
        : createTlsServer({ cert: script.ldaps.certificate, key: script.ldaps.key }, accept);
    // Handshakes that fail are what some tests are about.
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(script: Script = {}): Promise<FakeLdapServer> {
    const fake = new FakeLdapServer(script);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#script.ldaps === undefined ? 'ldap' : 'ldaps'}://localhost:${String(this.port)}`;
  }

  get binds(): number {
    return this.pdus.filter(({ operation }) => operation === OPERATIONS.bind).length;
  }

  /** Ends every connection; new ones are still taken. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.dropAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket, connection: number): void {
    let held = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const header = readHeader(held, 0, held.length);
        if (header === null || held.length < header.end) return;
        const bytes = held.subarray(0, header.end);
        held = held.subarray(header.end);
        const [id, operation] = elementsBetween(bytes, header.start, header.end);
        const pdu = {
          connection,
          id: id === undefined ? 0 : bytes.readIntBE(id.start, id.end - id.start),
          operation: operation?.tag ?? 0,
          bytes,
        };
        this.pdus.push(pdu);
        if (bytes.includes(START_TLS)) {
          this.#startTls(socket, pdu);
          return;
        }
        const answer = this.#script.answer?.(pdu, socket) ?? usualAnswer(pdu);
        if (answer !== null) socket.write(answer);
      }
    });
  }

  #startTls(socket: Socket, { id, connection }: Pdu): void {
    const { onStartTls, startTls } = this.#script;
    if (onStartTls !== undefined) {
      onStartTls(socket, id);
      return;
    }
    if (startTls === undefined) {
      socket.write(result(id, 0x78, 2));
      return;
    }
    socket.removeAllListeners('data');
    socket.write(result(id, 0x78, 0));
    const secured = new TLSSocket(socket, { isServer: true, cert: startTls.certificate, key: startTls.key });
    this.#serve(secured, connection);
  }
}

function usualAnswer({ id, operation, bytes }: Pdu): Buffer | null {
  switch (operation) {
    case OPERATIONS.bind:
      return result(id, 0x61, 0);
    case OPERATIONS.extended:
      return bytes.includes('1.3.6.1.4.1.4203.1.11.3') ? whoAmI(id, 'dn:cn=service') : result(id, 0x78, 2);
    case OPERATIONS.search:
      return Buffer.concat([entry(id, 'dc=example,dc=test'), result(id, 0x65, 0)]);
    default:
      return null;
  }
}

function message(id: number, ...parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(id);
  return encodeElement(0x30, encodeElement(0x02, bytes), ...parts);
}

/** An LDAPResult; `extra` goes behind it, for example a referral. */
export function result(id: number, tag: number, code: number, text = '', extra: Buffer = Buffer.alloc(0)): Buffer {
  const [none, why] = [encodeElement(0x04, Buffer.alloc(0)), encodeElement(0x04, Buffer.from(text))];
  return message(id, encodeElement(tag, encodeElement(0x0a, Buffer.from([code])), none, why, extra));
}

export function referral(...urls: readonly string[]): Buffer {
  return encodeElement(0xa3, ...urls.map((url) => encodeElement(0x04, Buffer.from(url))));
}

export function reference(id: number, ...urls: readonly string[]): Buffer {
  return message(id, encodeElement(0x73, ...urls.map((url) => encodeElement(0x04, Buffer.from(url)))));
}

export function entry(id: number, dn: string, attributes: Readonly<Record<string, string>> = {}): Buffer {
  const encoded = Object.entries(attributes).map(([type, value]) =>
    encodeElement(
      0x30,
      encodeElement(0x04, Buffer.from(type)),
      encodeElement(0x31, encodeElement(0x04, Buffer.from(value))),
    ),
  );
  return message(id, encodeElement(0x64, encodeElement(0x04, Buffer.from(dn)), encodeElement(0x30, ...encoded)));
}

function whoAmI(id: number, identity: string): Buffer {
  return result(id, 0x78, 0, '', encodeElement(0x8b, Buffer.from(identity)));
}
