// oidc-provider (the sandbox's server, in a process of its own) behind a door that counts each use of each refresh token, names
// who presented it, and loses answers on request. Whether a token is good only oidc-provider says.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { issuerFaultsSchema } from '../../../test/servers/issuer/contract.ts';
import { Faults, isBeforeWork, nameOf } from '../../../test/servers/issuer/faults.ts';
import { answer, misbehave } from '../../../test/servers/issuer/server.ts';

const { Sandbox } = createRequire(import.meta.url)('../../../dist/src/sandbox/sandbox.js');

/** @typedef {import('../../../test/servers/issuer/contract.ts').LogEntry} LogEntry */
/** @typedef {import('../../../test/servers/issuer/contract.ts').Family} Family */
/** @typedef {{ familyId: string, clientId: string, tokens: number, endedAt: string | null }} OpenFamily */
/** @typedef {{ tokenId: string, family: OpenFamily, parent: Token | null, uses: number, firstUsedMs: number | null, successorWasUsed: boolean }} Token */

/** The name by which the kill loop calls its client. */
export const PROVIDER_CLIENT = 'oidc-provider';

/** Speaks the part of `Issuer` that the kill loop needs. */
export class ProviderIssuer {
  /** @type {Map<string, Token>} */
  #tokens = new Map();
  /** @type {OpenFamily[]} */
  #families = [];
  /** @type {LogEntry[]} */
  #log = [];
  #faults;
  #sandbox;
  #folder;
  #server;

  /**
   * @param {any} sandbox
   * @param {string} folder
   * @param {number} seed
   */
  constructor(sandbox, folder, seed) {
    this.#sandbox = sandbox;
    this.#folder = folder;
    this.#faults = new Faults(seed);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => request.destroy());
    });
  }

  /** @param {{ ttl: number, seed: number }} options life of an access token in seconds */
  static async start({ ttl, seed }) {
    const folder = mkdtempSync(path.join(tmpdir(), 'credlife-chaos-provider-'));
    const settings = { folder, accessTokenTtlMs: ttl * 1_000, reuseGraceMs: 0 };
    const sandbox = await Sandbox.start(settings, { fetch: globalThis.fetch });
    const issuer = new ProviderIssuer(sandbox, folder, seed);
    issuer.#server.listen(0, '127.0.0.1');
    await once(issuer.#server, 'listening');
    return issuer;
  }

  /** Settings of a credential here. */
  get config() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    const { clientId } = this.#sandbox.clients.rotating;
    return { clientId, issuer: this.#sandbox.issuer, tokenEndpoint: `http://127.0.0.1:${port}/token` };
  }

  /** @returns {string} */
  get clientSecret() {
    return this.#sandbox.clients.rotating.clientSecret;
  }

  async mint() {
    const family = {
      familyId: `provider-family-${this.#families.length + 1}`,
      clientId: PROVIDER_CLIENT,
      tokens: 0,
      endedAt: null,
    };
    this.#families.push(family);
    const refreshToken = await this.#sandbox.mintRefreshToken('rotating');
    this.#learn(refreshToken, family, null);
    return { familyId: family.familyId, refreshToken };
  }

  /** @param {import('../../../test/servers/issuer/contract.ts').IssuerFaults} faults */
  async setFaults(faults) {
    this.#faults.set(issuerFaultsSchema.parse(faults));
  }

  async log() {
    return this.#log;
  }

  /** @returns {Promise<Family[]>} */
  async families() {
    return this.#families;
  }

  /** How often oidc-provider itself saw a token that was spent before: it must agree with the log of the door. */
  async spentTokensPresented() {
    return (await this.#sandbox.statistics()).spentTokensPresented;
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#sandbox.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * @param {string} refreshToken
   * @param {OpenFamily} family
   * @param {Token | null} parent
   */
  #learn(refreshToken, family, parent) {
    family.tokens += 1;
    const tokenId = `${family.familyId}-token-${family.tokens}`;
    this.#tokens.set(refreshToken, { tokenId, family, parent, uses: 0, firstUsedMs: null, successorWasUsed: false });
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async #serve(request, response) {
    const fault = this.#faults.take();
    const halfMs = this.#faults.latencyMs() / 2;
    const body = await text(request);
    await delay(halfMs);
    const refreshToken = new URLSearchParams(body).get('refresh_token') ?? '';
    const token = this.#tokens.get(refreshToken);
    const entry = this.#write({
      presenter: String(request.headers['x-presenter'] ?? ''),
      familyId: token?.family.familyId ?? null,
      tokenId: token?.tokenId ?? null,
      fault: fault && nameOf(fault),
    });
    if (fault && fault.kind !== 'delay' && isBeforeWork(fault)) {
      misbehave(response, entry, fault);
      return;
    }
    const given = await this.#present(token, entry, request, body);
    await delay(halfMs);
    if (fault?.kind === 'delay') await delay(fault.ms);
    else if (fault) {
      misbehave(response, entry, fault);
      return;
    }
    answer(response, entry, given.status, given.body);
  }

  /**
   * Hands the request on, and writes down what oidc-provider made of it.
   * @param {Token | undefined} token
   * @param {{ -readonly [K in keyof LogEntry]: LogEntry[K] }} entry
   * @param {import('node:http').IncomingMessage} request
   * @param {string} body
   */
  async #present(token, entry, request, body) {
    const now = Date.now();
    if (token) {
      token.uses += 1;
      entry.use = token.uses;
      entry.sinceFirstUseMs = token.firstUsedMs === null ? null : now - token.firstUsedMs;
      entry.successorWasUsed = token.successorWasUsed;
      token.firstUsedMs ??= now;
      if (token.parent) token.parent.successorWasUsed = true;
    }
    const headers = {
      authorization: request.headers.authorization ?? '',
      'content-type': request.headers['content-type'] ?? '',
    };
    const given = await fetch(this.#sandbox.tokenEndpoint, { method: 'POST', headers, body });
    /** @type {any} */
    const answered = await given.json();
    if (given.status === 200) {
      entry.verdict = entry.use === 1 ? 'rotated' : 'reanswered';
      if (token) this.#learn(answered.refresh_token, token.family, token);
    } else if (token && answered.error === 'invalid_grant') {
      // A first use that is refused is nobody's theft: then its family had ended, or oidc-provider and we do not agree.
      entry.verdict =
        token.family.endedAt !== null ? 'familyEnded' : entry.use > 1 ? 'reuseDetected' : 'requestRefused';
      token.family.endedAt ??= new Date(now).toISOString();
    } else entry.verdict = 'requestRefused';
    return { status: given.status, body: /** @type {object} */ (answered) };
  }

  /** @param {Partial<LogEntry>} facts */
  #write(facts) {
    /** @type {{ -readonly [K in keyof LogEntry]: LogEntry[K] }} */
    const entry = {
      ...{ seq: this.#log.length + 1, at: new Date().toISOString(), presenter: null, clientId: PROVIDER_CLIENT },
      ...{ familyId: null, tokenId: null, use: 0, sinceFirstUseMs: null, successorWasUsed: false },
      ...{ verdict: /** @type {const} */ ('turnedAway'), fault: null, status: null, delivered: false },
      ...facts,
    };
    this.#log.push(entry);
    return entry;
  }
}
