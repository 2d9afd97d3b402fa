import type { JsonObject } from '../../../src/json.ts';
import type { Issued, ProtocolDriver, RotationDriver, TestResult } from '../../../src/protocols/protocol.ts';
import type { Secret } from '../../../src/secret.ts';

/** Where the driver is: a test may hold it there for good, and kill its process. */
export type Point = `${'before' | 'after'} ${Step}`;
type Step = 'create' | 'set' | 'test' | 'finish' | 'retire';

/** What the driver takes from the copy of the package that it serves. */
export interface Package {
  readonly secretOf: (value: JsonObject) => Secret<JsonObject>;
  readonly refused: () => Error;
  readonly newPassword: () => string;
}

interface Account {
  readonly user: string;
  readonly password: string;
}

function accountOf(secret: Secret<JsonObject>): Account {
  const { user, password } = secret.unwrap();
  return { user: text(user), password: text(password) };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error('no text');
  return value;
}

/** Speaks to the target. Written as a driver's author would: a login that fails is never repeated. */
export class RotationTargetDriver implements ProtocolDriver {
  readonly protocol = 'rotation-target';
  readonly rotation: RotationDriver;
  readonly #package: Package;

  constructor(own: Package, reached: (point: Point) => Promise<void>) {
    this.#package = own;
    this.rotation = heldAt(reached, this.#rotation());
  }

  parseConfig = (config: unknown) => config as JsonObject;
  parseSecret = (secret: unknown) => secret as JsonObject;
  identity = () => ({});
  endpoint = ({ url }: JsonObject) => text(url);
  refreshTraits = () => ({ spends: null, reuseGraceMs: 0, deadlineMs: 1_000 });
  confirm = () => Promise.resolve('unconfirmable' as const);
  revoke = () => Promise.resolve('unsupported' as const);
  material = (grant: Secret<JsonObject>) => {
    const { user, password } = accountOf(grant);
    return { headers: { authorization: `${user}:${password}` } };
  };

  async refresh({ config, registered }: { config: JsonObject; registered: Secret<JsonObject> }): Promise<Issued> {
    return this.#login(config, registered);
  }

  async test({ config, grant }: { config: JsonObject; grant: Secret<JsonObject> | null }): Promise<TestResult> {
    const success = grant !== null && (await ask(config, '/login', accountOf(grant)));
    const details = { latencyMs: 0, endpoint: text(config['url']), permissionsVerified: [], metadata: {} };
    return { success, message: 'login', details, testedAt: new Date() };
  }

  async #login(config: JsonObject, secret: Secret<JsonObject>): Promise<Issued> {
    if (!(await ask(config, '/login', accountOf(secret)))) throw this.#package.refused();
    const issuedAt = new Date();
    const expiresAt = new Date(issuedAt.getTime() + 3_600_000);
    return { grant: this.#package.secretOf({ ...accountOf(secret) }), issuedAt, expiresAt, refreshable: true };
  }

  #rotation(): RotationDriver {
    const { secretOf, refused, newPassword } = this.#package;
    return {
      overlap: ({ overlap }) => (overlap === 'dual' || overlap === 'standby' ? overlap : 'none'),
      lockoutWindowMs: ({ lockoutWindowMs }) => Number(lockoutWindowMs),
      create: ({ config, registered }) => {
        const { user } = accountOf(registered);
        const other = config['overlap'] === 'standby' && user === 'a' ? 'b' : 'a';
        return Promise.resolve(secretOf({ user: other, password: newPassword() }));
      },
      set: async ({ config, registered, candidate, resumed }) => {
        const wanted = accountOf(candidate);
        if (resumed && (await ask(config, '/login', wanted))) return;
        const change = { ...accountOf(registered), of: wanted.user, newPassword: wanted.password };
        if (!(await ask(config, '/set', change))) throw refused();
      },
      test: ({ config, candidate }) => this.#login(config, candidate),
      finish: () => Promise.resolve(),
      retire: async ({ config, registered, retired }) => {
        const { user, password } = accountOf(retired);
        const asked = await ask(config, '/retire', { ...accountOf(registered), of: user, retired: password });
        if (!asked) throw refused();
        return 'retired';
      },
    };
  }
}

function heldAt(reached: (point: Point) => Promise<void>, driver: RotationDriver): RotationDriver {
  const held =
    <N extends Step>(name: N, step: (input: Parameters<RotationDriver[N]>[0]) => ReturnType<RotationDriver[N]>) =>
    async (input: Parameters<RotationDriver[N]>[0]): Promise<Awaited<ReturnType<RotationDriver[N]>>> => {
      await reached(`before ${name}`);
      const answer = await step(input);
      await reached(`after ${name}`);
      return answer;
    };
  return {
    ...driver,
    create: held('create', (input) => driver.create(input)),
    set: held('set', (input) => driver.set(input)),
    test: held('test', (input) => driver.test(input)),
    finish: held('finish', (input) => driver.finish(input)),
    retire: held('retire', (input) => driver.retire(input)),
  };
}

async function ask(config: JsonObject, path: string, body: object): Promise<boolean> {
  const { ok } = await fetch(`${text(config['url'])}${path}`, { method: 'POST', body: JSON.stringify(body) });
  return ok;
}
