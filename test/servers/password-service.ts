import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** One step that the webhook was told of. */
export interface ToldStep {
  readonly step: string;
  readonly username: string;
  readonly current: string;
  readonly other: string;
  readonly resumed: boolean;
}

export const WEBHOOK_SECRET = 'webhook-secret-0123456789';

/** A service behind Basic authentication, with a webhook that sets its password. It counts its logins. */
export class PasswordService {
  readonly username = 'robot';
  readonly steps: ToldStep[] = [];
  password: string;
  logins = 0;
  refusedLogins = 0;
  /** What the webhook answers next, instead of the usual. */
  nextWebhookStatus: number | null = null;
  /** Lets everybody in and shows a page, as some services do. */
  greetsEverybody = false;
  readonly #server: Server;

  private constructor(password: string) {
    this.password = password;
    this.#server = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, body }) => response.writeHead(status).end(body),
        () => response.writeHead(500).end(),
      );
    });
  }

  static async start(password = 'first-pässword'): Promise<PasswordService> {
    const service = new PasswordService(password);
    await new Promise<void>((resolve) => service.#server.listen(0, '127.0.0.1', resolve));
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    if (request.url === '/webhook') return { status: await this.#hook(request), body: '' };
    this.logins += 1;
    const expected = `Basic ${Buffer.from(`${this.username}:${this.password}`).toString('base64')}`;
    const isIn = request.headers.authorization === expected;
    if (!isIn) this.refusedLogins += 1;
    if (request.url === '/moved') return { status: 302, body: '' };
    if (isIn) return { status: 200, body: 'Welcome, robot' };
    return this.greetsEverybody ? { status: 200, body: 'Please sign in' } : { status: 401, body: '' };
  }

  async #hook(request: IncomingMessage): Promise<number> {
    const body = await text(request);
    const signed = `${String(request.headers['x-credlife-timestamp'])}.${body}`;
    const signature = `v1=${createHmac('sha256', WEBHOOK_SECRET).update(signed).digest('hex')}`;
    if (request.headers['x-credlife-signature'] !== signature) return 403;
    const told = JSON.parse(body) as ToldStep;
    this.steps.push(told);
    const status = this.nextWebhookStatus ?? 204;
    this.nextWebhookStatus = null;
    if (status === 204 && told.step === 'set') this.password = told.other;
    if (status === 204 && told.step === 'retire' && this.password === told.other) this.password = told.current;
    return status;
  }
}
