import { inspect } from 'node:util';
import type { CredentialEngine } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import { silentLogger, systemClock, systemFetch, systemRandom, type Ports } from '../../src/ports.ts';
import type { DriverInput, ProtocolDriver } from '../../src/protocols/protocol.ts';
import { Secret } from '../../src/secret.ts';
import { codeOf, rejectedCode, rejectionOf } from '../support/codes.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';

interface Entry {
  readonly config: unknown;
  readonly secret: Record<string, unknown>;
}

/** One protocol with another side to speak to. */
export interface ProtocolSubject {
  readonly open: (ports: Ports) => ProtocolDriver;
  /** Settings and secret that the other side accepts. */
  readonly good: Entry;
  /** The same with a secret that it does not accept. */
  readonly wrong: Entry;
  /** The same with nobody to answer at the endpoint. */
  readonly unreachable: Entry;
  /** How many requests that carry the secret the other side has seen. */
  readonly logins: () => Promise<number>;
  readonly dispose: () => Promise<void>;
}

const PORTS: Ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
const LOOK_ALIKES: readonly unknown[] = [null, undefined, 'text', 7, true, [], [{}], new Date(0)];

/** What every protocol's driver must do, whatever it speaks. */
export function protocolConformance(name: string, start: () => Promise<ProtocolSubject>): void {
  describe(`protocol: ${name}`, () => {
    let subject: ProtocolSubject;
    let driver: ProtocolDriver;
    let engine: CredentialEngine;
    let folder: ReturnType<typeof temporaryFolder>;

    beforeAll(async () => {
      subject = await start();
    });
    afterAll(async () => {
      await subject.dispose();
    });
    beforeEach(async () => {
      driver = subject.open(PORTS);
      folder = temporaryFolder();
      engine = await openEngine(folder.path);
    });
    afterEach(async () => {
      await driver.close?.();
      await engine.close();
      folder.dispose();
    });

    function input({ config, secret }: Entry, signal = new AbortController().signal): DriverInput {
      const parsed = driver.parseConfig(config);
      return { config: parsed, registered: Secret.of(driver.parseSecret(secret, parsed)), grant: null, signal };
    }

    function expectNoSecret(value: unknown, { secret }: Entry): void {
      const shown = `${inspect(value, { depth: Infinity, showHidden: true })}${JSON.stringify(value)}`;
      for (const part of Object.values(secret)) {
        if (typeof part === 'string') expect(shown).not.toContain(part);
      }
    }

    function register(entry: Entry) {
      return engine.register({ protocol: driver.protocol, name: 'It', config: entry.config, secret: entry.secret });
    }

    const nothing = (): Promise<() => void> => Promise.resolve(() => undefined);

    describe('settings and secret', () => {
      it('are JSON and come out of a second parse as they went in', () => {
        const { config, registered } = input(subject.good);
        expect(JSON.parse(JSON.stringify(config))).toEqual(config);
        expect(driver.parseConfig(config)).toEqual(config);
        expect(driver.parseSecret(registered.unwrap(), config)).toEqual(registered.unwrap());
      });

      it.each(LOOK_ALIKES.map((value) => [inspect(value), value]))('are not %s', (_text, value) => {
        expect(codeOf(() => driver.parseConfig(value))).toBe('ERR_CONFIG_MALFORMED');
        const config = driver.parseConfig(subject.good.config);
        expect(codeOf(() => driver.parseSecret(value, config))).toBe('ERR_CONFIG_MALFORMED');
      });

      it('have no members that nobody knows, and the message holds no value', () => {
        const strange = { strange: 'canary-of-a-value' };
        const config = driver.parseConfig(subject.good.config);
        for (const parse of [
          () => driver.parseConfig({ ...config, ...strange }),
          () => driver.parseSecret({ ...subject.good.secret, ...strange }, config),
        ]) {
          expect(codeOf(parse)).toBe('ERR_CONFIG_MALFORMED');
          expect(parse).not.toThrow(/canary/);
        }
      });

      it('that are malformed are stored nowhere', async () => {
        const malformed = { config: subject.good.config, secret: { strange: 'x' } };
        expect(await rejectedCode(register(malformed))).toBe('ERR_CONFIG_MALFORMED');
        expect((await engine.list()).credentials).toEqual([]);
      });

      it('give an identity and an endpoint without a secret', () => {
        const config = driver.parseConfig(subject.good.config);
        expect(JSON.parse(JSON.stringify(driver.identity(config)))).toEqual(driver.identity(config));
        expectNoSecret([driver.identity(config), driver.endpoint(config)], subject.good);
      });
    });

    describe('a refresh', () => {
      it('tells once that it is about to send, and answers with absolute instants', async () => {
        let told = 0;
        const issued = await driver.refresh(input(subject.good), () => {
          told += 1;
          return Promise.resolve(() => undefined);
        });
        expect(told).toBe(1);
        expect(issued.issuedAt).toBeInstanceOf(Date);
        for (const instant of [issued.expiresAt, issued.grantExpiresAt, issued.idleExpiresAt, issued.secretExpiresAt]) {
          expect(instant == null || instant instanceof Date).toBe(true);
        }
        expect(typeof issued.refreshable).toBe('boolean');
        expectNoSecret(issued, subject.good);
        expect(JSON.parse(JSON.stringify(issued.grant.unwrap()))).toEqual(issued.grant.unwrap());
      });

      it('that may not send does not', async () => {
        const before = await subject.logins();
        const refused = new Error('not yours any more');
        const refresh = driver.refresh(input(subject.good), () => Promise.reject(refused));
        expect(await rejectionOf(refresh)).toBe(refused);
        expect(await subject.logins()).toBe(before);
      });

      it('with a wrong secret is one login, and an error of who must act that holds no secret', async () => {
        const before = await subject.logins();
        const error = await rejectionOf(driver.refresh(input(subject.wrong), nothing));
        expect(isCredentialError(error) && error.name).toMatch(/^(ConfigurationError|ReauthorizationRequiredError)$/);
        expectNoSecret(error, subject.wrong);
        expect((await subject.logins()) - before).toBe(1);
      });

      it('that reaches nobody is a passing failure', async () => {
        const error = await rejectionOf(driver.refresh(input(subject.unreachable), nothing));
        expect(isCredentialError(error) && error.name).toBe('TransientError');
      });

      it('ends when its signal is aborted', async () => {
        const controller = new AbortController();
        controller.abort(new Error('enough'));
        await expect(driver.refresh(input(subject.good, controller.signal), nothing)).rejects.toThrow('enough');
      });

      it('has traits that say how long it takes', () => {
        const { deadlineMs, reuseGraceMs } = driver.refreshTraits(input(subject.good));
        expect(deadlineMs).toBeGreaterThan(0);
        expect(reuseGraceMs).toBeGreaterThanOrEqual(0);
      });
    });

    describe('a grant', () => {
      it('gives the same material each time, and asks nobody for it', async () => {
        const given = input(subject.good);
        const { grant } = await driver.refresh(given, nothing);
        const before = await subject.logins();
        const materials = [1, 2].map(() => driver.material(grant, given));
        expect(materials[0]?.headers).toEqual(materials[1]?.headers);
        const isOfUse = Object.keys(materials[0]?.headers ?? {}).length > 0 || materials[0]?.directory !== undefined;
        expect(isOfUse).toBe(true);
        expect(await subject.logins()).toBe(before);
      });

      it('passes its test, whose result holds no secret', async () => {
        const given = input(subject.good);
        const { grant } = await driver.refresh(given, nothing);
        const result = await driver.test({ ...given, grant });
        expect(result.success).toBe(true);
        expect(result.details.latencyMs).toBeGreaterThanOrEqual(0);
        expect(Object.values(result.details.metadata).every((value) => typeof value === 'string')).toBe(true);
        expectNoSecret(result, subject.good);
      });

      it('is confirmed, or nobody can tell', async () => {
        const given = input(subject.good);
        const { grant } = await driver.refresh(given, nothing);
        expect(['accepted', 'unconfirmable']).toContain(await driver.confirm({ ...given, grant }));
      });

      it('is ended as far as the other side offers that', async () => {
        const given = input(subject.good);
        const { grant } = await driver.refresh(given, nothing);
        expect(['revoked', 'unsupported']).toContain(await driver.revoke({ ...given, grant }));
      });
    });

    describe('in the engine', () => {
      it('lives from its registration to its end', async () => {
        const { id, state, test } = await register(subject.good);
        expect(state).toBe('valid.fresh');
        expect(test?.success).toBe(true);
        expect((await engine.use(id)).generation).toBe(1);
        expect((await engine.refresh(id)).generation).toBe(2);
        expect((await engine.test(id)).success).toBe(true);
        expect((await engine.revoke(id)).state).toBe('revoked.byUser');
        expect(await rejectedCode(engine.use(id))).toBe('ERR_CREDENTIAL_REVOKED');
      });

      it('waits for a person when its secret is wrong, after one login', async () => {
        const before = await subject.logins();
        const { id, state } = await register(subject.wrong);
        expect(['pending.misconfigured', 'expired.needsUser']).toContain(state);
        await rejectionOf(engine.use(id));
        expect((await subject.logins()) - before).toBe(1);
      });

      it('is tried again by itself when nobody answers', async () => {
        const { state, credential } = await register(subject.unreachable);
        expect(state).toBe('pending.unverified');
        expect(credential.dueAt).toBeInstanceOf(Date);
        expect(credential.failure?.class).toBe('transient');
      });
    });
  });
}
