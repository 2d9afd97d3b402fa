import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { SignJWT, type JWTPayload, type JWTHeaderParameters } from 'jose';
import type { Authorization, AuthorizationAnswer } from '../../../src/authorizations.ts';
import type { CredentialEngine } from '../../../src/engine.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { caseOf, HostileServer, sendJson, type HostileCase } from '../../servers/hostile/server.ts';
import { filesBelow, findCanaries, newCanary } from '../../support/canaries.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { openDatabase, type SeenDatabase } from './database.ts';
import { CLIENT_SECRET, REDIRECT_URI } from './sign-in.ts';

/** Waits of a device's sign-in end with these milliseconds, so that no other wait is cut short. */
const DEVICE_WAIT_REST_MS = 125;
export const DEVICE_INTERVAL_MS = 7_000 + DEVICE_WAIT_REST_MS;

/** Lets the waits of a device's sign-in pass at once. */
export class DeviceClock extends TestClock {
  readonly waits: number[] = [];

  override schedule(delayMs: number, callback: () => void, options?: { readonly keepAlive?: boolean }): () => void {
    if (delayMs % 1_000 !== DEVICE_WAIT_REST_MS) return super.schedule(delayMs, callback, options);
    this.waits.push(delayMs);
    this.stall(delayMs);
    setImmediate(callback);
    return () => undefined;
  }
}

export interface BegunSignIn {
  readonly id: string;
  /** Parameters of the authorization request. */
  readonly asked: URLSearchParams;
  readonly issuer: string;
}

const keyPair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
/** Of the server: it has two, as while it replaces one. The third is nobody's. */
export const KEYS = { one: keyPair(), two: keyPair(), foreign: keyPair() };
const JWKS = {
  keys: (['one', 'two'] as const).map((kid) => ({ ...KEYS[kid].publicKey.export({ format: 'jwk' }), kid, use: 'sig' })),
};

/** Where somebody signs in: an engine, and a server that does harm. */
interface Place {
  readonly server: HostileServer;
  readonly engine: CredentialEngine;
  readonly clock: DeviceClock;
  readonly folder: ReturnType<typeof temporaryFolder>;
  readonly database: SeenDatabase;
  readonly seen: string[];
}

/** A person's sign-ins at a hostile server, through an engine whose every word and byte is searched for secrets at the end. */
export class HostileSignIns {
  readonly code = newCanary();
  readonly deviceCode = newCanary();
  readonly tokens = { access_token: newCanary(), refresh_token: newCanary(), token_type: 'Bearer', expires_in: 3600 };
  readonly server: HostileServer;
  readonly engine: CredentialEngine;
  readonly clock: DeviceClock;
  readonly #place: Place;

  private constructor(place: Place) {
    this.#place = place;
    ({ server: this.server, engine: this.engine, clock: this.clock } = place);
  }

  static async start(): Promise<HostileSignIns> {
    const folder = temporaryFolder();
    const seen: string[] = [];
    const log = (fields: object, message: string): void => {
      see(seen, [fields, message]);
    };
    const clock = new DeviceClock();
    const ports = { clock, logger: { debug: log, info: log, warn: log, error: log } };
    const engine = await openEngine(folder.path, { ports });
    engine.on('*', (event) => {
      see(seen, event);
    });
    const server = await HostileServer.start();
    return new HostileSignIns({ server, engine, clock, folder, database: openDatabase(folder.path), seen });
  }

  /** Ends it all. Returns where a code, a verifier or a token was found. */
  async stop(): Promise<string[]> {
    const { server, engine, folder, database, seen } = this.#place;
    see(seen, [await engine.list(), await engine.readEvents(0, 1_000)]);
    await engine.close();
    database.close();
    await server.stop();
    const verifiers = server.requests.flatMap(({ body }) => new URLSearchParams(body).get('code_verifier') ?? []);
    const { access_token: accessToken, refresh_token: refreshToken } = this.tokens;
    const canaries = [this.code, this.deviceCode, accessToken, refreshToken, CLIENT_SECRET, ...verifiers];
    const places = new Map([['shown', Buffer.from(seen.join('\n'))], ...filesBelow(folder.path)]);
    folder.dispose();
    return findCanaries(canaries, places);
  }

  /** An issuer with honest metadata, or with some of it exchanged, that answers token requests like this. */
  issuer(name: string, token: HostileCase, metadata: object = {}): string {
    const ahead: HostileCase = (request, response) => {
      if (request.path === '/jwks') sendJson(response, 200, JWKS);
      else if (request.path === '/device') sendJson(response, 200, this.#deviceAnswer());
      else token(request, response);
    };
    return this.server.add(
      name,
      caseOf(ahead, (issuer) => ({
        authorization_endpoint: `${issuer}/authorize`,
        device_authorization_endpoint: `${issuer}/device`,
        jwks_uri: `${issuer}/jwks`,
        authorization_response_iss_parameter_supported: true,
        id_token_signing_alg_values_supported: ['RS256'],
        code_challenge_methods_supported: ['S256'],
        ...metadata,
      })),
    );
  }

  /** An issuer that gives good tokens, with what else is in `more`. */
  giving(name: string, more: () => object | Promise<object> = () => ({}), metadata: object = {}): string {
    const token: HostileCase = (_request, response) => {
      void Promise.resolve(more()).then((members) => {
        sendJson(response, 200, { ...this.tokens, ...members });
      });
    };
    return this.issuer(name, token, metadata);
  }

  async register(issuer: string, config: object = {}, secret: object = { clientSecret: CLIENT_SECRET }) {
    const { id } = await this.engine.register({
      protocol: 'oauth2',
      name: 'Person at a hostile server',
      config: {
        ...{ issuer, grantType: 'authorization_code', clientId: 'client', scope: 'openid offline_access' },
        ...{ allowInsecureTransport: true, ...config },
      },
      secret,
      test: false,
    });
    return id;
  }

  async begin(
    issuer: string,
    {
      config = {},
      redirectUri = REDIRECT_URI,
      secret,
    }: { config?: object; redirectUri?: string; secret?: object } = {},
  ): Promise<BegunSignIn> {
    const id = await this.register(issuer, config, secret);
    const authorization = await this.engine.authorize(id, { redirectUri });
    if (authorization.kind !== 'redirect') throw new TypeError('expected a URL');
    return { id, issuer, asked: new URL(authorization.url).searchParams };
  }

  async beginDevice(issuer: string): Promise<{ id: string } & Authorization> {
    const id = await this.register(issuer, { grantType: 'device_code' });
    return { id, ...(await this.engine.authorize(id)) };
  }

  /** The URL that an honest server sends the browser back to, with some of it exchanged; `null` takes a parameter out. */
  callback({ asked, issuer }: BegunSignIn, changes: Record<string, string | null> = {}, arrivedAt?: string): string {
    const parameters = new URLSearchParams();
    const answered = { code: this.code, state: asked.get('state'), iss: issuer, ...changes };
    for (const [name, value] of Object.entries(answered)) if (value !== null) parameters.set(name, value);
    return `${arrivedAt ?? asked.get('redirect_uri') ?? ''}?${parameters.toString()}`;
  }

  /** Gives an answer that must come to nothing. Returns the code of its error, when nothing of a grant is stored. */
  async refused(id: string, answer: AuthorizationAnswer): Promise<string> {
    const outcome: unknown = await this.engine.reauthorize(id, answer).catch((error: unknown) => error);
    this.see(outcome);
    const { state, generation } = await this.engine.get(id);
    const grants = this.#place.database.secretsOf(id).filter((secret) => secret.generation > 0);
    expect([state, generation, grants]).toEqual(['pending.authorizing', 0, []]);
    return isCredentialError(outcome) ? outcome.code : `no refusal: ${inspect(outcome)}`;
  }

  /** The record as stored. */
  recordOf(id: string): object {
    return this.#place.database.record(id);
  }

  tokenRequests(issuer: string): URLSearchParams[] {
    const name = issuer.split('/').at(-1) ?? '';
    return this.server.requestsOf(name, '/token').map(({ body }) => new URLSearchParams(body));
  }

  /** Looks at something that comes out of the engine. */
  see(value: unknown): void {
    see(this.#place.seen, value);
  }

  #deviceAnswer(): object {
    const page = { user_code: 'ABCD-EFGH', verification_uri: `${this.server.origin}/enter` };
    return { device_code: this.deviceCode, ...page, expires_in: 60, interval: DEVICE_INTERVAL_MS / 1_000 };
  }
}

function see(seen: string[], value: unknown): void {
  seen.push(inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify({ value }));
  if (value instanceof Error)
    seen.push(String(value.stack), inspect(value.cause, { depth: Infinity, showHidden: true }));
}

const RS256: JWTHeaderParameters = { alg: 'RS256', kid: 'one' };

/** The claims of a good ID token for a sign-in, with some exchanged; `undefined` takes one out. */
export function claimsFor({ issuer, asked }: BegunSignIn, changes: object = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  const nonce = asked.get('nonce');
  return { iss: issuer, sub: 'alice', aud: 'client', iat: now, exp: now + 600, nonce, ...changes };
}

export function signed(
  claims: JWTPayload,
  header: JWTHeaderParameters = RS256,
  key: KeyObject = KEYS.one.privateKey,
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

export function unsigned(claims: JWTPayload, header: object = { alg: 'none' }, signature = ''): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${signature}`;
}
