import type { ProtocolDriver } from '../../src/protocols/protocol.ts';
import { OAuth2Driver } from '../../src/protocols/oauth2/driver.ts';
import { silentLogger, systemClock, systemFetch, systemRandom } from '../../src/ports.ts';
import { endpointKey } from '../../src/protocols/protocol.ts';
import { Budgets, parseBudgets, requireBudgets } from '../../src/resilience/budgets.ts';
import { codeOf } from '../support/codes.ts';

const five = { requests: 5, perMs: 60_000 };
const one = { requests: 1, perMs: 1_000 };

it.each([
  ['https://as.example/oauth/token?tenant=1#x', 'as.example/oauth/token'],
  ['https://AS.Example:8443/Token', 'as.example:8443/Token'],
  ['https://as.example', 'as.example/'],
  ['http://as.example/token', 'http://as.example/token'],
  ['http://as.example:8443/token?x=1', 'http://as.example:8443/token'],
  ['ldap://directory.example:636', 'ldap://directory.example:636'],
  ['ldaps://directory.example:636', 'directory.example:636'],
  ['a place without an address', 'a place without an address'],
])('names the endpoint %s %s', (endpoint, key) => {
  expect(endpointKey(endpoint)).toBe(key);
});

it('finds the budget of an endpoint before that of its host, and no budget for others', () => {
  const budgets = new Budgets([
    { endpoint: 'AS.example', ...five },
    { endpoint: 'https://as.example/slow?x=1', ...one },
  ]);
  expect(budgets.find('as.example/token')).toEqual({ name: 'as.example', budget: five });
  expect(budgets.find('as.example/slow')).toEqual({ name: 'as.example/slow', budget: one });
  expect(budgets.find('http://as.example/token')).toEqual({ name: 'as.example', budget: five });
  expect(budgets.find('http://as.example/slow')).toEqual({ name: 'as.example/slow', budget: one });
  expect(budgets.find('as.example:8443/token')).toBeNull();
  expect(budgets.find('other.example/token')).toBeNull();
});

it('takes what a protocol knows where the operator says nothing, and remembers it for the endpoint', () => {
  const ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const driver: ProtocolDriver = Object.assign(new OAuth2Driver(ports), { budget: () => one });
  const budgets = new Budgets([{ endpoint: 'said.example', ...five }]);
  expect(budgets.find('said.example/token', driver, {})?.budget).toEqual(five);
  expect(budgets.find('known.example/token')).toBeNull();
  expect(budgets.find('known.example/token', driver, {})).toEqual({ name: 'known.example/token', budget: one });
  expect(budgets.find('known.example/token')?.budget).toEqual(one);
});

it('reads budgets from text', () => {
  expect(parseBudgets('accounts.zoho.com=5/60, as.example:8443/token=100/1', 'X')).toEqual([
    { endpoint: 'accounts.zoho.com', ...five },
    { endpoint: 'as.example:8443/token', requests: 100, perMs: 1_000 },
  ]);
});

it.each([
  '',
  'host',
  'host=5',
  'host=5/0',
  'host=0/5',
  'host=-1/5',
  'host=5/1.5',
  '=5/60',
  'a=5/60,',
  'a=5/99999',
  'a b=5/60',
])('refuses budgets of the form "%s"', (text) => {
  expect(codeOf(() => parseBudgets(text, 'CREDLIFE_BUDGETS'))).toBe('ERR_CONFIG_MALFORMED');
});

it.each<[string, unknown]>([
  ['no list', five],
  ['text', 'host=5/60'],
  ['without an endpoint', [five]],
  ['of no requests', [{ endpoint: 'host', requests: 0, perMs: 1 }]],
  ['of half a request', [{ endpoint: 'host', requests: 0.5, perMs: 1 }]],
  ['of text', [{ endpoint: 'host', requests: '5', perMs: 1 }]],
  ['over a week', [{ endpoint: 'host', requests: 5, perMs: 604_800_000 }]],
  ['with something unknown', [{ endpoint: 'host', ...five, burst: 2 }]],
])('refuses budgets that are %s', (_, budgets) => {
  expect(() => {
    requireBudgets(budgets);
  }).toThrow(TypeError);
});
