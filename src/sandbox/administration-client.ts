import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod/v4';
import type { Fetch } from '../ports.ts';
import { ADMINISTRATION_PATH, type AdministrationVerb, type administrationRequests } from './administration.ts';
import type { Fault } from './faults.ts';
import type { Revocation } from './grants.ts';
import type { ClientName } from './options.ts';
import { type ServerRequest, serverRequestSchema } from './request-log.ts';
import { RESOURCE_PATH } from './resource.ts';
import { sandboxStatisticsSchema, type SandboxStatistics } from './statistics.ts';
import { FACTS_FILE, type ServerFacts, serverFactsSchema } from './server-facts.ts';

const logSchema = z.strictObject({ requests: z.array(serverRequestSchema) });
const mintedSchema = z.strictObject({ refreshToken: z.string() });

/** The owner's side of a running sandbox server: reads its log, makes and revokes grants, orders faults. */
export class SandboxAdministration {
  readonly issuer: string;
  readonly clients: ServerFacts['clients'];
  readonly tokenEndpoint: string;
  readonly introspectionEndpoint: string;
  readonly revocationEndpoint: string;
  readonly userinfoEndpoint: string;
  /** Answers 200 to a live access token and 401 otherwise; `?status=404` makes it answer 404 to a live one. */
  readonly resourceUrl: string;
  readonly #token: string;
  readonly #fetch: Fetch;

  constructor(facts: ServerFacts, fetch: Fetch) {
    this.issuer = facts.issuer;
    this.clients = facts.clients;
    this.tokenEndpoint = `${facts.issuer}/token`;
    this.introspectionEndpoint = `${facts.issuer}/token/introspection`;
    this.revocationEndpoint = `${facts.issuer}/token/revocation`;
    this.userinfoEndpoint = `${facts.issuer}/me`;
    this.resourceUrl = facts.issuer + RESOURCE_PATH;
    this.#token = facts.administrationToken;
    this.#fetch = fetch;
  }

  /** Connects to the server that another process has started in `folder`. */
  static async connect(folder: string, fetch: Fetch): Promise<SandboxAdministration> {
    const facts: unknown = JSON.parse(await readFile(join(folder, FACTS_FILE), 'utf8'));
    return new SandboxAdministration(serverFactsSchema.parse(facts), fetch);
  }

  /** Every request so far, in order; the administration's own are not among them. */
  async requests(): Promise<ServerRequest[]> {
    return logSchema.parse(await this.#ask('log', {})).requests;
  }

  /** The log in numbers. */
  async statistics(): Promise<SandboxStatistics> {
    return sandboxStatisticsSchema.parse(await this.#ask('statistics', {}));
  }

  /** The requests at the token endpoint, of one client or of all. */
  async tokenRequests(client?: ClientName): Promise<ServerRequest[]> {
    const clientId = client && this.clients[client].clientId;
    const requests = await this.requests();
    return requests.filter(
      (request) => request.endpoint === 'token' && (clientId === undefined || request.clientId === clientId),
    );
  }

  /** Makes a grant as if a user had consented, and returns its refresh token. */
  async mintRefreshToken(client: ClientName): Promise<string> {
    return mintedSchema.parse(await this.#ask('mint', { client })).refreshToken;
  }

  /** Ends access tokens only: their refresh tokens stay good. */
  async revokeAccessTokens(client?: ClientName): Promise<void> {
    await this.#revoke('accessTokens', client);
  }

  /** Ends refresh tokens only: access tokens that are out live until they expire. */
  async revokeRefreshTokens(client?: ClientName): Promise<void> {
    await this.#revoke('refreshTokens', client);
  }

  /** Ends grants with all their tokens. */
  async revokeGrants(client?: ClientName): Promise<void> {
    await this.#revoke('grants', client);
  }

  /** Lets the next `count` token requests meet the fault. */
  async failNext(fault: Fault, count = 1): Promise<void> {
    await this.#ask('fault', { fault, count });
  }

  /** Delays each answer of the token endpoint. */
  async setLatency(latencyMs: number): Promise<void> {
    await this.#ask('latency', { latencyMs });
  }

  /** Forgets ordered faults and delay. */
  async clearFaults(): Promise<void> {
    await this.#ask('clearFaults', {});
  }

  async #revoke(what: Revocation, client: ClientName | undefined): Promise<void> {
    await this.#ask('revoke', { what, client: client ?? null });
  }

  async #ask<Verb extends AdministrationVerb>(
    verb: Verb,
    body: z.input<(typeof administrationRequests)[Verb]>,
  ): Promise<unknown> {
    const response = await this.#fetch(this.issuer + ADMINISTRATION_PATH + verb, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new TypeError(`the sandbox refused ${verb}: ${await response.text()}`);
    return response.json();
  }
}
