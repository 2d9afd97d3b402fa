import { TransientError } from '../../src/errors.ts';
import type { Opened } from '../../src/lifecycle/effects.ts';
import { silentLogger, systemFetch, systemRandom } from '../../src/ports.ts';
import { OAuth2Driver } from '../../src/protocols/oauth2/driver.ts';
import { Budgets } from '../../src/resilience/budgets.ts';
import { EndpointGate } from '../../src/resilience/endpoint-gate.ts';
import { Secret } from '../../src/secret.ts';
import { SteppedClock } from '../support/stepped-clock.ts';
import { aRecord } from '../support/record.ts';
import { openTestVault } from '../support/vault.ts';

const PASSAGE = { isUrgent: false, isRequested: true };

test('a break that is over lets one of eight through, and those who came too late do not close the circuit', async () => {
  const clock = new SteppedClock();
  const store = await openTestVault({ clock });
  const ports = { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const gate = new EndpointGate({ ports, records: store.stores.records, vault: store.vault, budgets: new Budgets([]) });
  const driver = new OAuth2Driver(ports);
  const record = aRecord({
    config: { tokenEndpoint: 'https://as.example/token', grantType: 'client_credentials', clientId: 'c' },
  });
  const opened: Opened = { record, driver, registered: Secret.of({ clientSecret: 's' }), grant: null };
  const down = () => Promise.reject(new TransientError('ERR_ENDPOINT_UNAVAILABLE', 'down'));
  for (let tries = 0; tries < 5; tries += 1) await gate.pass(opened, PASSAGE, down).catch(() => undefined);
  await clock.advance(31_000);

  let requests = 0;
  const request = () => {
    requests += 1;
    return new Promise<never>(() => undefined);
  };
  const codeOf = (error: unknown): unknown => (error instanceof TransientError ? error.code : error);
  const ask = (): Promise<unknown> => gate.pass(opened, PASSAGE, request).catch(codeOf);
  const [, ...others] = [1, 2, 3, 4, 5, 6, 7, 8].map(() => ask());
  expect(await Promise.all(others)).toEqual(others.map(() => 'ERR_ENDPOINT_CIRCUIT_OPEN'));
  expect(await ask()).toBe('ERR_ENDPOINT_CIRCUIT_OPEN');
  expect(requests).toBe(1);
  await store.close();
});
