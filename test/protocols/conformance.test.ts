import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownDrivers } from '../../src/drivers.ts';
import { BasicDriver } from '../../src/protocols/basic/driver.ts';
import { LdapDriver } from '../../src/protocols/ldap/driver.ts';
import { OAuth2Driver } from '../../src/protocols/oauth2/driver.ts';
import { protocolConformance } from '../conformance/protocol.ts';
import { startAuthorizationServer } from '../servers/authorization-server.ts';
import { CountingProxy } from '../servers/counting-proxy.ts';
import { PasswordService } from '../servers/password-service.ts';
import { freePort } from '../../scripts/test/free-port.cjs';
import { SlapdServer } from '../servers/slapd.ts';
import { machineEntry } from '../support/engine.ts';
import { PORTS, slapdEntry } from './ldap/support.ts';

protocolConformance('oauth2', async () => {
  const server = await startAuthorizationServer();
  const entry = (config: object = {}, secret: object = {}) => {
    const { config: known, secret: right } = machineEntry(server, { config, secret });
    return { config: known, secret: { ...right } };
  };
  const tokenEndpoint = `http://127.0.0.1:${String(await freePort())}/token`;
  return {
    open: (ports) => new OAuth2Driver(ports),
    good: entry(),
    wrong: entry({}, { clientSecret: 'a-wrong-client-secret' }),
    unreachable: entry({ issuer: undefined, tokenEndpoint }),
    logins: async () => (await server.tokenRequests()).length,
    dispose: () => server.stop(),
  };
});

protocolConformance('ldap', async () => {
  const server = await SlapdServer.start();
  const proxy = await CountingProxy.start(server.port);
  const seen = { url: `ldap://localhost:${String(proxy.port)}`, allowInsecureTransport: true };
  const entry = (config: object = {}, secret: object = {}) =>
    slapdEntry(server, { config: { ...seen, ...config }, secret });
  return {
    open: (ports) => new LdapDriver(ports),
    good: entry(),
    wrong: entry({}, { password: 'a-wrong-password' }),
    unreachable: entry({ url: `ldap://127.0.0.1:${String(await freePort())}` }),
    logins: () => Promise.resolve(proxy.binds),
    dispose: async () => {
      await proxy.stop();
      await server.stop();
    },
  };
});

protocolConformance('basic', async () => {
  const service = await PasswordService.start();
  const entry = (testUrl: string, password = service.password) => ({
    config: { username: service.username, testUrl, allowInsecureTransport: true },
    secret: { password },
  });
  return {
    open: (ports) => new BasicDriver(ports),
    good: entry(`${service.url}/`),
    wrong: entry(`${service.url}/`, 'a-wrong-password'),
    unreachable: entry(`http://127.0.0.1:${String(await freePort())}/`),
    logins: () => Promise.resolve(service.logins),
    dispose: () => service.stop(),
  };
});

describe('what stands above the protocols', () => {
  const SOURCES = join(__dirname, '../../src');
  const files = [
    'engine.ts',
    ...readdirSync(join(SOURCES, 'lifecycle'), { recursive: true, encoding: 'utf8' }).map((file) =>
      join('lifecycle', file),
    ),
  ];

  it.each(files.filter((file) => file.endsWith('.ts')))('%s names none of them', (file) => {
    const text = readFileSync(join(SOURCES, file), 'utf8');
    for (const { protocol } of ownDrivers(PORTS)) expect(text).not.toMatch(new RegExp(`\\b${protocol}\\b`, 'i'));
  });
});
