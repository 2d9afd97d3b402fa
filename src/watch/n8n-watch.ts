import type { CredentialSummary } from '../client.ts';
import type { CredentialEngine } from '../engine.ts';
import { toCredentialError, type CredentialError } from '../errors.ts';
import { lifecycleStateOf, type CredentialId } from '../lifecycle/credential.ts';
import { wait } from '../lifecycle/effects.ts';
import type { Ports } from '../ports.ts';
import { N8nApi } from '../protocols/n8n/api.ts';
import { parseN8nConfig, type N8nConnection } from '../protocols/n8n/config.ts';
import type { ListedCredential } from '../protocols/n8n/response.ts';
import { isOwnType, isTestDue } from './plan.ts';

/** What watching needs of an engine, which was opened with the same connection. */
export type WatchingEngine = Pick<
  CredentialEngine,
  'adopt' | 'delete' | 'get' | 'lastTest' | 'list' | 'settings' | 'test' | 'update'
>;

/** One look at n8n. */
export interface WatchRound {
  /** Why n8n could not be asked, or not to the end; `null` when it was. */
  readonly failure: CredentialError | null;
  /** Credentials in n8n that are not of this package's own types. */
  readonly listed: number;
  readonly tested: number;
}

const PAGE = 1_000;
const AT_ONCE = 4;
/** Time between the beginnings of two tests: n8n has other work, and so have the services behind it. */
const APART_MS = 250;
/** So many tests in a row that n8n did not make: it is looked whether n8n is there at all. */
const UNANSWERED = 3;

/**
 * Watches the credentials that an n8n keeps itself. Each is a record of the engine without any secret, so that listing, health,
 * events and webhooks are those of every other credential; nothing in n8n is ever changed or refreshed from here.
 *
 * That n8n cannot be asked is the failure of one record, n8n itself, and says nothing of the others.
 */
export class N8nWatch {
  readonly #engine: WatchingEngine;
  readonly #api: N8nApi;
  readonly #ports: Ports;
  readonly #everyMs: number;

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` for the URL */
  constructor(
    engine: WatchingEngine,
    options: { readonly connection: N8nConnection; readonly ports: Ports; readonly everyMs: number },
  ) {
    this.#engine = engine;
    this.#api = new N8nApi(options.connection, options.ports);
    this.#ports = options.ports;
    this.#everyMs = options.everyMs;
  }

  /** Lists n8n's credentials, takes up new ones, forgets those that are gone, and has n8n test those that are due. */
  async round(signal: AbortSignal): Promise<WatchRound> {
    const host = await this.#engine.adopt(this.#entry(`n8n at ${new URL(this.#api.url).host}`));
    let listed: readonly ListedCredential[];
    try {
      listed = (await this.#api.list(signal)).filter(({ type }) => !isOwnType(type));
    } catch (error) {
      signal.throwIfAborted();
      await this.#engine.test(host);
      return { failure: toCredentialError(error), listed: 0, tested: 0 };
    }
    const { success } = await this.#engine.test(host);
    if (!success) return { failure: await this.#refusal(signal), listed: listed.length, tested: 0 };
    const watched = await this.#takeUp(listed);
    await this.#forgetGone(watched, signal);
    return { ...(await this.#test(watched, host, signal)), listed: listed.length };
  }

  /** The watched credentials of this n8n, n8n itself first. */
  async watched(): Promise<readonly CredentialSummary[]> {
    const found: CredentialSummary[] = [];
    let cursor: string | null = null;
    do {
      const from: { cursor?: string } = cursor === null ? {} : { cursor };
      const page: Awaited<ReturnType<WatchingEngine['list']>> = await this.#engine.list({
        protocol: 'n8n',
        limit: PAGE,
        ...from,
      });
      found.push(...page.credentials);
      cursor = page.nextCursor;
    } while (cursor !== null);
    const own = found.filter(({ endpoint }) => endpoint.startsWith(`${this.#api.url}/`));
    return own.sort((a, b) => a.endpoint.length - b.endpoint.length || a.name.localeCompare(b.name));
  }

  #entry(name: string, credential?: Pick<ListedCredential, 'id' | 'type'>) {
    const { url } = this.#api;
    const config = credential ? { url, credential: { id: credential.id, type: credential.type } } : { url };
    return { name, protocol: 'n8n', config, secret: {} };
  }

  async #takeUp(listed: readonly ListedCredential[]): Promise<ReadonlyMap<CredentialId, ListedCredential>> {
    const watched = new Map<CredentialId, ListedCredential>();
    for (const credential of listed) {
      const id = await this.#engine.adopt(this.#entry(credential.name, credential));
      const known = await this.#find(id);
      if (known === null) continue;
      watched.set(id, credential);
      // What was ended here stays as it was.
      if (known.name !== credential.name && lifecycleStateOf(known.state) !== 'revoked')
        await this.#engine.update(id, { name: credential.name });
    }
    return watched;
  }

  /** A page that shifted while it was read hides a credential: only n8n's word that it is gone counts. */
  async #forgetGone(watched: ReadonlyMap<CredentialId, unknown>, signal: AbortSignal): Promise<void> {
    for (const { id } of await this.watched()) {
      if (watched.has(id)) continue;
      const { credential } = parseN8nConfig(await this.#engine.settings(id));
      if (credential === undefined || (await this.#api.exists(credential.id, signal))) continue;
      await this.#engine.delete(id);
    }
  }

  async #test(
    watched: ReadonlyMap<CredentialId, ListedCredential>,
    host: CredentialId,
    signal: AbortSignal,
  ): Promise<Pick<WatchRound, 'failure' | 'tested'>> {
    const due = await this.#due(watched);
    const round = { tested: 0, unanswered: 0, failed: false };
    const work = async (): Promise<void> => {
      for (let id = due.shift(); id !== undefined && !round.failed; id = due.shift()) {
        signal.throwIfAborted();
        const apart = wait(this.#ports, APART_MS * AT_ONCE, signal).catch(() => undefined);
        const { testedAt } = await this.#engine.test(id);
        const isAnswered = (await this.#engine.lastTest(id))?.testedAt.getTime() === testedAt.getTime();
        round.tested += isAnswered ? 1 : 0;
        round.unanswered = isAnswered ? 0 : round.unanswered + 1;
        if (round.unanswered >= UNANSWERED) round.failed = !(await this.#engine.test(host)).success;
        await apart;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return { tested: round.tested, failure: round.failed ? await this.#refusal(signal) : null };
  }

  /** Ids to test, in the order of the listing. What somebody paused or ended here is left alone. */
  async #due(watched: ReadonlyMap<CredentialId, ListedCredential>): Promise<CredentialId[]> {
    const due: CredentialId[] = [];
    for (const [id, listed] of watched) {
      const summary = await this.#find(id);
      if (summary === null || summary.paused || lifecycleStateOf(summary.state) === 'revoked') continue;
      const known = { ...summary, lastTest: await this.#engine.lastTest(id) };
      if (isTestDue(known, listed, { everyMs: this.#everyMs, now: this.#ports.clock.now() })) due.push(id);
    }
    return due;
  }

  /** Why n8n cannot be asked, as an error; `null` when it answers again. */
  async #refusal(signal: AbortSignal): Promise<CredentialError | null> {
    try {
      await this.#api.check(signal);
      return null;
    } catch (error) {
      return toCredentialError(error);
    }
  }

  /** `null` for one that is being deleted here. */
  async #find(id: CredentialId): Promise<CredentialSummary | null> {
    try {
      return await this.#engine.get(id);
    } catch (error) {
      if (toCredentialError(error).code === 'ERR_CREDENTIAL_NOT_FOUND') return null;
      throw error;
    }
  }
}
