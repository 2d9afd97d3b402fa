import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Attribute, Change, Client } from 'ldapts';
import { freePort } from '../../scripts/test/free-port.cjs';
import { eventually } from '../support/eventually.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { serverFolder, ServerProcess } from './process.ts';

// A server shares its machine with everything else that runs there; no test of one asserts a time.
jest.setTimeout(180_000);

export const REALM = 'ad.example.test';
export const AD_SUFFIX = 'DC=ad,DC=example,DC=test';
export const AD_USERS = `CN=Users,${AD_SUFFIX}`;
export const AD_ADMIN = { dn: `CN=Administrator,${AD_USERS}`, password: 'Adm1n-Passw0rd!' } as const;
/** The password of every account that `addUser` makes. */
export const AD_PASSWORD = 'Us3r-Passw0rd!';

/** A real Active Directory domain controller: Samba, on a loopback address of its own, because its LDAP ports are fixed. */
export class SambaServer {
  readonly address: string;
  readonly authority: CertificateAuthority;
  readonly #folder: string;
  readonly #dispose: () => void;
  #process: ServerProcess | null = null;

  private constructor(folder: ReturnType<typeof serverFolder>, address: string) {
    this.address = address;
    this.#folder = folder.path;
    this.#dispose = folder.dispose;
    mkdirSync(join(folder.path, 'run'));
    this.authority = new CertificateAuthority(folder.path);
  }

  static async start(): Promise<SambaServer> {
    const server = new SambaServer(serverFolder('samba'), await freeAddress());
    provision(server.#folder, server.address);
    const names = `DNS:dc1.${REALM},IP:${server.address}`;
    const { keyFile, certificateFile } = server.authority.issue(`/CN=dc1.${REALM}`, { names });
    chmodSync(keyFile, 0o600);
    const ports = { krb5: await freePort(), kpasswd: await freePort(), cldap: await freePort() };
    const config = configuration(server.#folder, server.address, { keyFile, certificateFile, ports });
    writeFileSync(join(server.#folder, 'smb.conf'), config);
    // A change on the first day, and as often as a test likes; five wrong passwords lock.
    server.tool(['domain', 'passwordsettings', 'set', '--min-pwd-age=0', '--history-length=0', '--max-pwd-age=42']);
    server.tool([
      'domain',
      'passwordsettings',
      'set',
      '--account-lockout-threshold=5',
      '--account-lockout-duration=30',
    ]);
    await server.resume();
    return server;
  }

  get tlsUrl(): string {
    return `ldaps://${this.address}`;
  }

  get url(): string {
    return `ldap://${this.address}`;
  }

  tool(args: readonly string[]): string {
    const where = ['-s', join(this.#folder, 'smb.conf')];
    return execFileSync('samba-tool', [...args, ...where], { stdio: 'pipe' }).toString();
  }

  async resume(): Promise<void> {
    const args = ['-s', join(this.#folder, 'smb.conf'), '-F', '--no-process-group', '-M', 'single'];
    const running = new ServerProcess(['samba', ...args]);
    this.#process = running;
    await eventually(
      async () => {
        if (running.hasEnded) throw new Error(`samba did not start: ${running.output}`);
        return accepts(this.address, 636);
      },
      { timeoutMs: 60_000 },
    );
  }

  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM');
    this.#dispose();
  }

  async asAdmin<T>(task: (client: Client) => Promise<T>): Promise<T> {
    return this.as(AD_ADMIN.dn, AD_ADMIN.password, task);
  }

  async as<T>(name: string, password: string, task: (client: Client) => Promise<T>): Promise<T> {
    const tlsOptions = { ca: this.authority.certificate };
    const client = new Client({ url: this.tlsUrl, timeout: 20_000, tlsOptions });
    try {
      await client.bind(name, password);
      return await task(client);
    } finally {
      await client.unbind();
    }
  }

  /** Whether a password is accepted, asked by a client that has nothing to do with ours. */
  async accepts(name: string, password: string): Promise<boolean> {
    try {
      await this.as(name, password, () => Promise.resolve());
      return true;
    } catch {
      return false;
    }
  }

  /** A person in CN=Users. `attributes` go on top of what every person has. */
  async addUser(name: string, attributes: Record<string, string | string[]> = {}): Promise<string> {
    const dn = `CN=${name},${AD_USERS}`;
    await this.asAdmin(async (client) => {
      await client.add(dn, {
        objectClass: ['top', 'person', 'organizationalPerson', 'user'],
        sAMAccountName: name,
        userPrincipalName: `${name}@${REALM}`,
        mail: `${name}@example.test`,
        // An ordinary account that is enabled.
        userAccountControl: '512',
        ...attributes,
      });
      await client.modify(dn, change('unicodePwd', Buffer.from(`"${AD_PASSWORD}"`, 'utf16le')));
    });
    return dn;
  }

  /** Replaces one attribute of an entry. */
  async modify(dn: string, attribute: string, value: string): Promise<void> {
    await this.asAdmin((client) => client.modify(dn, change(attribute, Buffer.from(value))));
  }

  async addGroup(name: string, members: readonly string[]): Promise<string> {
    const dn = `CN=${name},${AD_USERS}`;
    await this.asAdmin((client) =>
      client.add(dn, { objectClass: ['top', 'group'], sAMAccountName: name, member: [...members] }),
    );
    return dn;
  }
}

/** A new domain, made from nothing: some seconds. So one suite has all that is asked of a domain controller. */
function provision(folder: string, address: string): void {
  const base = join(folder, 'base.conf');
  // An empty file keeps Debian's own configuration out.
  writeFileSync(base, '[global]\n');
  const domain = [`--realm=${REALM.toUpperCase()}`, '--domain=ADX', '--server-role=dc', '--dns-backend=NONE'];
  const host = ['--host-name=dc1', `--host-ip=${address}`, `--adminpass=${AD_ADMIN.password}`];
  const binding = [`--option=interfaces=${address}/8`, '--option=bind interfaces only=yes'];
  const where = [`--configfile=${base}`, `--targetdir=${join(folder, 'd')}`];
  execFileSync('samba-tool', ['domain', 'provision', ...where, ...domain, ...host, ...binding], { stdio: 'pipe' });
}

/** A loopback address on whose LDAP ports nobody listens. */
async function freeAddress(): Promise<string> {
  for (let last = 77; last < 250; last += 1) {
    const address = `127.0.${String(process.pid % 250)}.${String(last)}`;
    if (!(await accepts(address, 389)) && !(await accepts(address, 636))) return address;
  }
  throw new Error('no free loopback address');
}

async function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

function change(type: string, value: Buffer): Change {
  return new Change({ operation: 'replace', modification: new Attribute({ type, values: [value] }) });
}

interface Served {
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly ports: { readonly krb5: number; readonly kpasswd: number; readonly cldap: number };
}

function configuration(folder: string, address: string, { keyFile, certificateFile, ports }: Served): string {
  const settings = {
    'netbios name': 'DC1',
    realm: REALM.toUpperCase(),
    workgroup: 'ADX',
    'server role': 'active directory domain controller',
    'server services': 'ldap, kdc, cldap',
    interfaces: `${address}/8`,
    'bind interfaces only': 'yes',
    'ldap server require strong auth': 'no',
    'krb5 port': ports.krb5,
    'kpasswd port': ports.kpasswd,
    'cldap port': ports.cldap,
    'private dir': `${folder}/d/private`,
    'state directory': `${folder}/d/state`,
    'cache directory': `${folder}/d/cache`,
    'lock directory': `${folder}/d`,
    'binddns dir': `${folder}/d/bind-dns`,
    'pid directory': `${folder}/run`,
    'ncalrpc dir': `${folder}/run/ncalrpc`,
    'ntp signd socket directory': `${folder}/run/ntp`,
    'winbindd socket directory': `${folder}/run/wb`,
    'log file': `${folder}/log.%m`,
    'tls keyfile': keyFile,
    'tls certfile': certificateFile,
    'tls cafile': `${folder}/ca.pem`,
  };
  return `[global]\n${Object.entries(settings)
    .map(([name, value]) => `\t${name} = ${String(value)}\n`)
    .join('')}`;
}
