import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import type {
  BeforeSend,
  Confirmation,
  DriverInput,
  Issued,
  Material,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
  TestTraits,
} from '../protocol.ts';
import { definedMembers } from '../schema.ts';
import { N8nApi } from './api.ts';
import { parseN8nConfig, parseN8nGrant, parseN8nSecret, type N8nConfig, type N8nConnection } from './config.ts';
import type { N8nVerdict } from './response.ts';

/**
 * Credentials that n8n keeps, and n8n itself: they are tested and never changed, and there is nothing of them here. Only the
 * n8n that the engine was given a key for is asked; what a record says of its URL sends the key nowhere.
 */
export class N8nDriver implements ProtocolDriver {
  readonly protocol = 'n8n';
  readonly #ports: Ports;
  readonly #api: N8nApi | null;

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` for the URL of the connection */
  constructor(ports: Ports, connection?: N8nConnection) {
    this.#ports = ports;
    this.#api = connection === undefined ? null : new N8nApi(connection, ports);
  }

  parseConfig(config: unknown): JsonObject {
    return definedMembers(parseN8nConfig(config));
  }

  parseSecret(secret: unknown): JsonObject {
    return parseN8nSecret(secret);
  }

  identity(config: JsonObject): JsonObject {
    const { url, credential } = parseN8nConfig(config);
    return { url, credentialId: credential?.id ?? null };
  }

  /** Where a person opens it. */
  endpoint(config: JsonObject): string {
    const { url, credential } = parseN8nConfig(config);
    return credential === undefined ? `${url}/` : `${url}/home/credentials/${credential.id}`;
  }

  refreshTraits(): RefreshTraits {
    return { spends: null, reuseGraceMs: 0, deadlineMs: 1_000 };
  }

  /** Asks nobody: the grant says that the credential is watched, and holds nothing. */
  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    input.signal.throwIfAborted();
    (await beforeSend())();
    return {
      grant: Secret.of<JsonObject>({}),
      issuedAt: this.#ports.clock.now(),
      expiresAt: null,
      refreshable: false,
    };
  }

  /** @throws ConfigurationError `ERR_N8N_WATCHED_ONLY` */
  material(grant: Secret<JsonObject>): Omit<Material, 'expiresAt' | 'generation'> {
    parseN8nGrant(grant.unwrap());
    throw new ConfigurationError('ERR_N8N_WATCHED_ONLY', 'n8n keeps this credential; here it is only watched.');
  }

  confirm(): Promise<Confirmation> {
    return Promise.resolve('unconfirmable');
  }

  /** n8n presents the credential, whatever it is: a test of one may count against an account. */
  testTraits(config: JsonObject): TestTraits {
    const isCredential = parseN8nConfig(config).credential !== undefined;
    return { isLogin: isCredential, asksAnother: isCredential };
  }

  async test({ config, signal }: DriverInput): Promise<TestResult> {
    const { url, credential } = parseN8nConfig(config);
    const api = this.#apiOf(url);
    const { clock } = this.#ports;
    const startedAt = clock.hostTime().ms;
    const verdict: N8nVerdict =
      credential === undefined ? await passedBy(api.check(signal)) : await api.test(credential.id, signal);
    if (verdict.verdict === 'gone')
      throw new ConfigurationError('ERR_N8N_CREDENTIAL_GONE', 'n8n has no credential with this id any more.');
    return {
      success: verdict.verdict === 'passed',
      message: messageOf(verdict, { url, credential }),
      details: {
        latencyMs: clock.hostTime().ms - startedAt,
        endpoint: this.endpoint(config),
        permissionsVerified: credential === undefined ? ['credential:list'] : [],
        metadata: credential === undefined ? {} : { type: credential.type, n8nId: credential.id },
      },
      testedAt: clock.now(),
      ...(verdict.verdict === 'untestable' && { inconclusive: true }),
    };
  }

  /** Nothing is ended in n8n: from then on it is not watched. */
  revoke(): Promise<'revoked' | 'unsupported'> {
    return Promise.resolve('unsupported');
  }

  #apiOf(url: string): N8nApi {
    if (this.#api?.url === url) return this.#api;
    throw new ConfigurationError('ERR_N8N_NOT_CONNECTED', `This engine has no API key for ${url}.`);
  }
}

async function passedBy(check: Promise<void>): Promise<N8nVerdict> {
  await check;
  return { verdict: 'passed' };
}

function messageOf(verdict: N8nVerdict, { url, credential }: N8nConfig): string {
  if (credential === undefined) return `${new URL(url).host} answers, and the API key may list and test.`;
  switch (verdict.verdict) {
    case 'failed':
      return `n8n says that it fails. ${verdict.why}`;
    case 'untestable':
      return `n8n has no test for the type ${credential.type}.`;
    default:
      return 'n8n says that it works.';
  }
}
