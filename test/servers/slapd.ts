import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'ldapts';
import { freePort } from '../../scripts/test/free-port.cjs';
import { eventually } from '../support/eventually.ts';
import { CertificateAuthority, type KeyPair } from './certificate-authority.ts';
import { serverFolder, ServerProcess } from './process.ts';

// A server shares its machine with everything else that runs there; no test of one asserts a time.
jest.setTimeout(60_000);

export const SUFFIX = 'dc=example,dc=test';
export const PEOPLE = `ou=people,${SUFFIX}`;
export const ADMIN = { dn: `cn=admin,${SUFFIX}`, password: 'adminpw' } as const;
export const USERS = 1_000;

/** Accounts that programs use. `certservice` has a certificate, `rotator` may reset passwords. */
export const SERVICES = ['service', 'standby', 'rotator', 'certservice', 'second'] as const;

export function serviceDn(name: (typeof SERVICES)[number]): string {
  return `cn=${name},ou=services,${SUFFIX}`;
}

export function servicePassword(name: (typeof SERVICES)[number]): string {
  return `Serv1ce-${name}`;
}

export function userDn(index: number): string {
  return `uid=${uidOf(index)},${PEOPLE}`;
}

export function uidOf(index: number): string {
  return `u${String(index).padStart(4, '0')}`;
}

export function userPassword(index: number): string {
  return `Passw0rd-${String(index).padStart(4, '0')}`;
}

/** A real slapd on free ports with 1,000 users, groups in groups, password policies and TLS. */
export class SlapdServer {
  readonly port: number;
  readonly tlsPort: number;
  readonly authority: CertificateAuthority;
  readonly client: KeyPair;
  readonly #folder: string;
  readonly #dispose: () => void;
  #process: ServerProcess | null = null;

  private constructor(folder: ReturnType<typeof serverFolder>, port: number, tlsPort: number) {
    this.#folder = folder.path;
    this.#dispose = folder.dispose;
    this.port = port;
    this.tlsPort = tlsPort;
    for (const name of ['db', 'tls']) mkdirSync(join(folder.path, name));
    this.authority = new CertificateAuthority(join(folder.path, 'tls'));
    this.client = this.authority.issue('/DC=test/DC=example/OU=services/CN=certservice');
  }

  static async start(): Promise<SlapdServer> {
    const server = new SlapdServer(serverFolder('slapd'), await freePort(), await freePort());
    server.#found();
    await server.resume();
    // Only what comes in over the wire passes the overlays that write memberOf.
    server.ldapAdd(groups());
    return server;
  }

  get url(): string {
    return `ldap://localhost:${String(this.port)}`;
  }

  get tlsUrl(): string {
    return `ldaps://localhost:${String(this.tlsPort)}`;
  }

  /** Starts the server on its data and its ports. */
  async resume(): Promise<void> {
    const listen = `ldap://127.0.0.1:${String(this.port)}/ ldaps://127.0.0.1:${String(this.tlsPort)}/`;
    const user = isRoot() ? ['-u', 'openldap', '-g', 'openldap'] : [];
    const config = join(this.#folder, 'slapd.conf');
    const running = new ServerProcess(['/usr/sbin/slapd', '-f', config, ...user, '-h', listen, '-d', '0']);
    this.#process = running;
    await eventually(() => {
      if (running.hasEnded) throw new Error(`slapd did not start: ${running.output}`);
      return this.#answers();
    });
  }

  /** Ends the server at once, as a crash does; the data stays. */
  async crash(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM');
    this.#dispose();
  }

  ldapAdd(ldif: string): void {
    const file = join(this.#folder, 'add.ldif');
    writeFileSync(file, ldif);
    const where = ['-x', '-H', `ldap://127.0.0.1:${String(this.port)}`, '-D', ADMIN.dn, '-w', ADMIN.password];
    execFileSync('ldapadd', [...where, '-f', file], { stdio: 'pipe' });
  }

  /** Does something as the administrator, over a client of its own. */
  async asAdmin<T>(task: (client: Client) => Promise<T>): Promise<T> {
    return this.as(ADMIN.dn, ADMIN.password, task);
  }

  async as<T>(dn: string, password: string, task: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ url: `ldap://127.0.0.1:${String(this.port)}`, timeout: 10_000 });
    try {
      await client.bind(dn, password);
      return await task(client);
    } finally {
      await client.unbind();
    }
  }

  /** Whether a password is accepted, asked by a client that has nothing to do with ours. */
  async accepts(dn: string, password: string): Promise<boolean> {
    try {
      await this.as(dn, password, () => Promise.resolve());
      return true;
    } catch {
      return false;
    }
  }

  /** How many failed logins the policy counts for an account since its last good one. */
  async failedLogins(dn: string): Promise<number> {
    const { searchEntries } = await this.asAdmin((client) =>
      client.search(dn, { scope: 'base', attributes: ['pwdFailureTime'] }),
    );
    return [searchEntries[0]?.['pwdFailureTime'] ?? []].flat().length;
  }

  #found(): void {
    const server = this.authority.issue('/CN=localhost', { names: 'DNS:localhost,IP:127.0.0.1' });
    writeFileSync(join(this.#folder, 'slapd.conf'), configuration(this.#folder, this.authority, server));
    const ldif = join(this.#folder, 'base.ldif');
    writeFileSync(ldif, people());
    execFileSync('/usr/sbin/slapadd', ['-q', '-f', join(this.#folder, 'slapd.conf'), '-l', ldif], { stdio: 'pipe' });
    if (isRoot()) execFileSync('chown', ['-R', 'openldap:openldap', this.#folder]);
  }

  #answers(): boolean {
    try {
      execFileSync('ldapwhoami', ['-x', '-H', `ldap://127.0.0.1:${String(this.port)}`], { stdio: 'pipe' });
      return true;
    } catch {
      return false;
    }
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function configuration(folder: string, authority: CertificateAuthority, server: KeyPair): string {
  const text = '1.3.6.1.4.1.1466.115.121.1.15';
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.99999.1.1 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX ${text} SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.1.2 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX ${text} SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'adLikeUser' SUP top AUXILIARY MAY ( sAMAccountName $ userPrincipalName ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
moduleload argon2
pidfile ${folder}/slapd.pid
TLSCACertificateFile ${authority.certificateFile}
TLSCertificateFile ${server.certificateFile}
TLSCertificateKeyFile ${server.keyFile}
TLSVerifyClient try
sizelimit size.soft=500 size.hard=500 size.pr=1000 size.prtotal=unlimited
database mdb
maxsize 268435456
suffix "${SUFFIX}"
rootdn "${ADMIN.dn}"
rootpw ${ADMIN.password}
directory ${folder}/db
dbnosync
index objectClass,uid,cn,sn,mail,member,memberOf,sAMAccountName,userPrincipalName,entryUUID,entryCSN eq
password-hash {ARGON2}
access to attrs=userPassword by dn.exact="${serviceDn('rotator')}" =xw by self =xw by anonymous auth by * none
access to * by users read by anonymous auth
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=default,ou=policies,${SUFFIX}"
ppolicy_use_lockout
ppolicy_hash_cleartext
`;
}

const POLICY = 'objectClass: device\nobjectClass: pwdPolicy\npwdAttribute: userPassword\npwdAllowUserChange: TRUE\n';
const DAY_SECONDS = 86_400;

function policy(name: string, rules: string): string {
  return `dn: cn=${name},ou=policies,${SUFFIX}\n${POLICY}cn: ${name}\n${rules}\n`;
}

function people(): string {
  const units = ['people', 'groups', 'policies', 'services'];
  return [
    `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`,
    ...units.map((ou) => `dn: ou=${ou},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${ou}\n`),
    policy(
      'default',
      'pwdMinLength: 8\npwdCheckQuality: 1\npwdInHistory: 3\npwdMaxFailure: 3\npwdLockout: TRUE\npwdLockoutDuration: 600\n',
    ),
    policy('aging', `pwdMaxAge: ${String(DAY_SECONDS)}\n`),
    policy('warning', `pwdMaxAge: ${String(DAY_SECONDS)}\npwdExpireWarning: ${String(DAY_SECONDS)}\n`),
    policy('grace', `pwdMaxAge: ${String(DAY_SECONDS)}\npwdGraceAuthNLimit: 5\n`),
    policy('reset', 'pwdMustChange: TRUE\n'),
    policy('strict', 'pwdMinLength: 60\npwdCheckQuality: 2\n'),
    ...SERVICES.map(
      (name) =>
        `dn: ${serviceDn(name)}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n` +
        `cn: ${name}\nuserPassword: ${servicePassword(name)}\n`,
    ),
    ...Array.from({ length: USERS }, (_, index) => user(index)),
    special('expired', 'aging', '20200101000000Z'),
    special('graced', 'grace', '20200101000000Z'),
    special('warned', 'warning', generalizedTime(Date.now() - 3_600_000)),
    special('aging', 'aging', generalizedTime(Date.now() - 3_600_000)),
    special('strict', 'strict', generalizedTime(Date.now())),
    special('mustchange', 'reset', generalizedTime(Date.now()), 'pwdReset: TRUE\n'),
    special(
      'shadow',
      'default',
      generalizedTime(Date.now()),
      'objectClass: shadowAccount\nshadowLastChange: 20000\nshadowMax: 90\n',
    ),
  ].join('\n');
}

function user(index: number): string {
  const uid = uidOf(index);
  return (
    `dn: ${userDn(index)}\nobjectClass: inetOrgPerson\nobjectClass: adLikeUser\nuid: ${uid}\ncn: User ${String(index)}\n` +
    `sn: ${String(index)}\nmail: ${uid}@example.test\nsAMAccountName: ${uid}\nuserPrincipalName: ${uid}@example.test\n` +
    `userPassword: ${userPassword(index)}\npwdChangedTime: 20200101000000Z\n`
  );
}

/** The password of each of these. */
export const SPECIAL_PASSWORD = 'Sp3cial-Passw0rd';

/** A user with a policy of his own, as the server's own tools would have written him. */
function special(uid: string, policyName: string, changedAt: string, more = ''): string {
  return (
    `dn: uid=${uid},${PEOPLE}\nobjectClass: inetOrgPerson\n${more}uid: ${uid}\ncn: ${uid}\nsn: ${uid}\n` +
    `userPassword: ${SPECIAL_PASSWORD}\npwdChangedTime: ${changedAt}\n` +
    `pwdPolicySubentry: cn=${policyName},ou=policies,${SUFFIX}\n`
  );
}

function generalizedTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}

/** g0 … g9 with 100 users each; g0 and g1 are in "staff", "staff" in "everybody", and that in "staff" again. */
function groups(): string {
  const group = (cn: string, members: readonly string[]): string =>
    `dn: ${groupDn(cn)}\nobjectClass: groupOfNames\ncn: ${cn}\n${members.map((dn) => `member: ${dn}\n`).join('')}\n`;
  const numbered = Array.from({ length: 10 }, (_, digit) => {
    const members = Array.from({ length: 100 }, (_user, tens) => userDn(tens * 10 + digit));
    return group(`g${String(digit)}`, members);
  });
  const staff = group('staff', [groupDn('g0'), groupDn('g1')]);
  const everybody = group('everybody', [groupDn('staff'), userDn(5)]);
  const cycle = `dn: ${groupDn('staff')}\nchangetype: modify\nadd: member\nmember: ${groupDn('everybody')}\n`;
  return [...numbered, staff, everybody, cycle].join('');
}

export function groupDn(cn: string): string {
  return `cn=${cn},ou=groups,${SUFFIX}`;
}
