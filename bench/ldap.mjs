// Reads and logins through the pool beside bare ldapts on one connection, against a real slapd on this machine. The server's
// own work is the same for both; what counts is the processor time of this process.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../scripts/test/free-port.cjs';
import { markdownTable, perSecond, race, ratio } from './harness.mjs';

const require = createRequire(import.meta.url);
const { LdapDriver } = require('../dist/src/protocols/ldap/driver.js');
const { systemClock, systemRandom, silentLogger, systemFetch } = require('../dist/src/ports.js');
const { Secret } = require('../dist/src/secret.js');
const { Client } = require('ldapts');

const SUFFIX = 'dc=example,dc=test';
const SERVICE = { dn: `cn=service,${SUFFIX}`, password: 'Serv1ce-Passw0rd' };
const PARALLEL = 10;

if (!existsSync('/usr/sbin/slapd')) {
  console.error('bench: slapd is not installed (Debian: apt-get install slapd ldap-utils)');
  process.exit(1);
}

const folder = mkdtempSync(path.join(tmpdir(), 'credlife-bench-'));
const port = await freePort();
const slapd = startSlapd();
try {
  await ready();
  await measure();
} finally {
  slapd.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function measure() {
  const driver = new LdapDriver({ clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger });
  const config = driver.parseConfig({
    url: `ldap://127.0.0.1:${port}`,
    allowInsecureTransport: true,
    baseDn: SUFFIX,
    bindDn: SERVICE.dn,
    maxConnections: PARALLEL,
    userDnTemplate: `uid={username},${SUFFIX}`,
  });
  const input = { config, registered: Secret.of({ password: SERVICE.password }), grant: null };
  const { directory } = driver.material(Secret.of({ identity: null, vendor: null }), input);
  const bare = new Client({ url: `ldap://127.0.0.1:${port}` });
  await bare.bind(SERVICE.dn, SERVICE.password);
  const filter = (index) => `(uid=u${index % 100})`;
  let turn = 0;
  const many = (task) => () => Promise.all(Array.from({ length: PARALLEL }, () => task((turn += 1))));
  const options = (index) => ({ filter: filter(index), attributes: ['cn'] });

  const [bareReads, reads] = await race([
    { name: 'ldapts, one connection', run: many((index) => bare.search(SUFFIX, options(index))) },
    { name: 'directory.search, pool of 10', run: many((index) => directory.search(options(index))) },
  ]);
  const [bareLogins, logins] = await race([
    { name: 'ldapts: connect, bind, read', run: many((index) => bareLogin(index % 100)) },
    {
      name: 'directory.authenticate',
      run: many((index) => directory.authenticate(`u${index % 100}`, `Passw0rd-${index % 100}`)),
    },
  ]);
  const row = (what, ours, other) => [what, perSecond(other), perSecond(ours), ratio(ours, other).toFixed(2)];
  console.log(
    markdownTable(
      [`${PARALLEL} at once, per call of ${PARALLEL}`, 'bare ldapts', 'ours', 'ratio'],
      [row('one entry by search', reads, bareReads), row('a login of a user, with his entry', logins, bareLogins)],
    ),
  );
  await bare.unbind();
  await driver.close();
}

async function bareLogin(index) {
  const client = new Client({ url: `ldap://127.0.0.1:${port}` });
  await client.bind(`uid=u${index},${SUFFIX}`, `Passw0rd-${index}`);
  await client.search(`uid=u${index},${SUFFIX}`, { scope: 'base' });
  await client.unbind();
}

function startSlapd() {
  chmodSync(folder, 0o755);
  mkdirSync(path.join(folder, 'db'));
  const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`);
  const database = `database mdb\nsuffix "${SUFFIX}"\ndirectory ${folder}/db\ndbnosync\nindex uid eq`;
  const modules = 'modulepath /usr/lib/ldap\nmoduleload back_mdb';
  writeFileSync(path.join(folder, 'slapd.conf'), [...schemas, modules, database, ''].join('\n'));
  const people = Array.from(
    { length: 100 },
    (_, index) =>
      `dn: uid=u${index},${SUFFIX}\nobjectClass: inetOrgPerson\nuid: u${index}\ncn: User ${index}\nsn: ${index}\nuserPassword: Passw0rd-${index}\n`,
  );
  const base = `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`;
  const service = `dn: ${SERVICE.dn}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: service\nuserPassword: ${SERVICE.password}\n`;
  writeFileSync(path.join(folder, 'base.ldif'), [base, service, ...people].join('\n'));
  const config = ['-f', path.join(folder, 'slapd.conf')];
  execFileSync('/usr/sbin/slapadd', ['-q', ...config, '-l', path.join(folder, 'base.ldif')], { stdio: 'pipe' });
  return spawn('/usr/sbin/slapd', [...config, '-h', `ldap://127.0.0.1:${port}/`, '-d', '0'], { stdio: 'ignore' });
}

async function ready() {
  for (;;) {
    const client = new Client({ url: `ldap://127.0.0.1:${port}` });
    try {
      await client.bind(SERVICE.dn, SERVICE.password);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      await client.unbind();
    }
  }
}
