import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Fetch, Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { newPassword } from '../new-password.ts';
import type { DriverInput, Issued, RotationDriver, RotationInput, RotationOverlap } from '../protocol.ts';
import { definedMembers } from '../schema.ts';
import { parseBasicConfig, parseBasicSecret, type BasicConfig, type BasicSecret } from './config.ts';
import { webhookRequest } from './request.ts';

/** What a hook is told. Passwords are in their holders: `unwrap()` gives them. */
export interface BasicRotationStep {
  readonly username: string;
  /** The password that is in use. */
  readonly current: Secret<string>;
  /** The password that is to replace it; in `retire` the one that is to end. */
  readonly other: Secret<string>;
  /** The step may have been made before, by a process that died. */
  readonly resumed: boolean;
  readonly signal: AbortSignal;
}

/**
 * How a service is told of a new password, by whoever embeds the engine. `set` must be able to run twice, and makes the
 * service take `other` instead of `current`. It throws `ERR_ROTATION_CANDIDATE_REFUSED` when another password may do.
 */
export interface BasicRotationHook {
  set(step: BasicRotationStep): Promise<void>;
  /** Proves `other`; absent: the test URL does, if there is one. */
  test?(step: BasicRotationStep): Promise<void>;
  finish?(step: BasicRotationStep): Promise<void>;
  retire?(step: BasicRotationStep): Promise<void>;
}

/** One password after another: from `set` on the old one is dead. */
export class BasicRotation implements RotationDriver {
  readonly #ports: Ports;
  readonly #fetch: Fetch;
  readonly #hook: BasicRotationHook | null;
  readonly #issue: (input: DriverInput) => Promise<Issued>;

  constructor(
    ports: Ports,
    options: {
      readonly fetch: Fetch;
      readonly hook: BasicRotationHook | null;
      readonly issue: (input: DriverInput) => Promise<Issued>;
    },
  ) {
    this.#ports = ports;
    this.#fetch = options.fetch;
    this.#hook = options.hook;
    this.#issue = options.issue;
  }

  overlap(): RotationOverlap {
    return 'none';
  }

  create(input: DriverInput): Promise<Secret<JsonObject>> {
    const { config, secret } = opened(input, input.registered);
    this.#hookFor(config, secret);
    const password = newPassword(this.#ports.random);
    const passwordSetAt = this.#ports.clock.now().toISOString();
    return Promise.resolve(Secret.of(definedMembers({ ...secret, password, passwordSetAt })));
  }

  async set(input: RotationInput): Promise<void> {
    await this.#step('set', input, input.candidate, input.resumed);
  }

  async test(input: RotationInput): Promise<Issued> {
    await this.#step('test', input, input.candidate, input.resumed);
    return this.#issue({ ...input, registered: input.candidate, grant: null });
  }

  async finish(input: RotationInput): Promise<void> {
    await this.#step('finish', input, input.candidate, input.resumed);
  }

  async retire(input: DriverInput & { readonly retired: Secret<JsonObject> }): Promise<'retired' | 'unsupported'> {
    await this.#step('retire', input, input.retired, true);
    return 'retired';
  }

  async #step(
    name: keyof BasicRotationHook,
    input: DriverInput,
    other: Secret<JsonObject>,
    resumed: boolean,
  ): Promise<void> {
    const { config, secret } = opened(input, input.registered);
    const password = opened(input, other).secret.password;
    await this.#hookFor(config, secret)[name]?.({
      username: config.username,
      current: Secret.of(secret.password),
      other: Secret.of(password),
      resumed,
      signal: input.signal,
    });
  }

  #hookFor(config: BasicConfig, secret: BasicSecret): BasicRotationHook {
    if (this.#hook !== null) return this.#hook;
    const { rotationWebhookUrl: url } = config;
    const { webhookSecret } = secret;
    if (url !== undefined && webhookSecret !== undefined) return this.#webhook(url, webhookSecret);
    throw new ConfigurationError(
      'ERR_ROTATION_UNSUPPORTED',
      'There is no rotationWebhookUrl, and no hook of a driver.',
    );
  }

  #webhook(url: string, secret: string): Required<BasicRotationHook> {
    const tell = (step: string) => async (told: BasicRotationStep) => {
      const { username, current, other, resumed, signal } = told;
      const body = { step, username, current: current.unwrap(), other: other.unwrap(), resumed };
      await webhookRequest(url, { body, secret, at: this.#ports.clock.now() }, { fetch: this.#fetch, signal });
    };
    return { set: tell('set'), test: tell('test'), finish: tell('finish'), retire: tell('retire') };
  }
}

function opened({ config }: Pick<DriverInput, 'config'>, secret: Secret<JsonObject>) {
  const parsed = parseBasicConfig(config);
  return { config: parsed, secret: parseBasicSecret(secret.unwrap(), parsed) };
}
