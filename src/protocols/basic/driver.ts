import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Fetch, Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { boundedFetch, DEFAULT_BOUNDS } from '../bounded-fetch.ts';
import type {
  BeforeSend,
  Confirmation,
  DriverInput,
  Issued,
  Material,
  MaterialInput,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
} from '../protocol.ts';
import { definedMembers } from '../schema.ts';
import { parseBasicConfig, parseBasicGrant, parseBasicSecret, type BasicConfig, type BasicSecret } from './config.ts';
import { basicAuthorization, testRequest } from './request.ts';
import { BasicRotation, type BasicRotationHook } from './rotation.ts';

const DAY_MS = 86_400_000;

export interface BasicDriverOptions {
  /** A name of its own for a driver with a hook; `basic` is the one without. */
  readonly protocol?: string;
  readonly hook?: BasicRotationHook;
}

/** HTTP Basic authentication (RFC 7617). There are no tokens: the material is made of the registered password. */
export class BasicDriver implements ProtocolDriver {
  readonly protocol: string;
  readonly materialNeedsSecret = true;
  readonly rotation: BasicRotation;
  readonly #ports: Ports;
  readonly #fetch: Fetch;

  constructor(ports: Ports, { protocol = 'basic', hook }: BasicDriverOptions = {}) {
    this.protocol = protocol;
    this.#ports = ports;
    this.#fetch = boundedFetch(ports.fetch, () => ports.clock.now());
    const issue = (input: DriverInput): Promise<Issued> => this.refresh(input, () => Promise.resolve(() => undefined));
    this.rotation = new BasicRotation(ports, { fetch: this.#fetch, hook: hook ?? null, issue });
  }

  parseConfig(config: unknown): JsonObject {
    return definedMembers(parseBasicConfig(config));
  }

  parseSecret(secret: unknown, config: JsonObject): JsonObject {
    return definedMembers(parseBasicSecret(secret, parseBasicConfig(config)));
  }

  identity(config: JsonObject): JsonObject {
    const { username, testUrl = null, testStatus, testBodyIncludes } = parseBasicConfig(config);
    return definedMembers({ username, testUrl, testStatus, testBodyIncludes });
  }

  endpoint(config: JsonObject): string {
    return parseBasicConfig(config).testUrl ?? '';
  }

  refreshTraits(): RefreshTraits {
    return { spends: null, reuseGraceMs: 0, deadlineMs: DEFAULT_BOUNDS.deadlineMs };
  }

  /** One request with the password, where there is a test URL. A refused one is not repeated: it may count towards a lockout. */
  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    const { config, secret } = open(input);
    const now = this.#ports.clock.now();
    const mayLeave = await beforeSend();
    mayLeave();
    if (hasTestUrl(config)) await this.#requireAccepted(config, secret, input.signal);
    const known = input.grant === null ? null : parseBasicGrant(input.grant.unwrap()).passwordSetAt;
    const passwordSetAt = secret.passwordSetAt ?? known ?? now.toISOString();
    const { maxPasswordAgeDays: days } = config;
    return {
      grant: Secret.of<JsonObject>({ passwordSetAt }),
      issuedAt: now,
      expiresAt: null,
      refreshable: true,
      secretExpiresAt: days === undefined ? null : new Date(Date.parse(passwordSetAt) + days * DAY_MS),
    };
  }

  material(_grant: Secret<JsonObject>, input?: MaterialInput): Pick<Material, 'headers'> {
    if (input === undefined) throw new TypeError('The header is made of the registered secret.');
    const { config, secret } = open(input);
    return { headers: { authorization: basicAuthorization(config.username, secret.password) } };
  }

  /** Only a request with the password could tell, and that is what a refresh is: asking first would make two of one. */
  confirm(): Promise<Confirmation> {
    return Promise.resolve('unconfirmable');
  }

  async test(input: DriverInput): Promise<TestResult> {
    const { config, secret } = open(input);
    const { clock } = this.#ports;
    const startedAt = clock.hostTime().ms;
    if (hasTestUrl(config)) await this.#requireAccepted(config, secret, input.signal);
    const setAt = input.grant === null ? null : Date.parse(parseBasicGrant(input.grant.unwrap()).passwordSetAt);
    const ageDays = setAt === null ? null : Math.floor((clock.now().getTime() - setAt) / DAY_MS);
    const { maxPasswordAgeDays: most } = config;
    const isOld = ageDays !== null && most !== undefined && ageDays >= most;
    const checked = hasTestUrl(config) ? `${new URL(config.testUrl).host} accepts the password.` : UNCHECKED;
    return {
      success: !isOld,
      message: isOld ? `${checked} It is ${String(ageDays)} days old, and ${String(most)} are allowed.` : checked,
      details: {
        latencyMs: clock.hostTime().ms - startedAt,
        endpoint: config.testUrl ?? '',
        permissionsVerified: hasTestUrl(config) ? ['authenticate'] : [],
        metadata: {
          username: config.username,
          checkedBy: hasTestUrl(config) ? 'testUrl' : 'nothing',
          ...(ageDays !== null && { passwordAgeDays: String(ageDays) }),
        },
      },
      testedAt: clock.now(),
    };
  }

  /** A password ends where it was set: nothing at the other side can be told to forget it. */
  revoke(): Promise<'revoked' | 'unsupported'> {
    return Promise.resolve('unsupported');
  }

  async #requireAccepted(config: WithTestUrl, secret: BasicSecret, signal: AbortSignal): Promise<void> {
    const { outcome, status } = await testRequest(config, secret.password, { fetch: this.#fetch, signal });
    if (outcome === 'accepted') return;
    const { host } = new URL(config.testUrl);
    const why = outcome === 'refused' ? 'does not accept user name and password' : 'does not answer as the rule says';
    throw new ConfigurationError('ERR_BASIC_REFUSED', `${host} ${why} (HTTP ${String(status)}).`);
  }
}

const UNCHECKED = 'There is no test URL: nobody was asked.';

type WithTestUrl = BasicConfig & { readonly testUrl: string };

function hasTestUrl(config: BasicConfig): config is WithTestUrl {
  return config.testUrl !== undefined;
}

function open({ config, registered }: Pick<DriverInput, 'config' | 'registered'>) {
  const parsed = parseBasicConfig(config);
  return { config: parsed, secret: parseBasicSecret(registered.unwrap(), parsed) };
}
