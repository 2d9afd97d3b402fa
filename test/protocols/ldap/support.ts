import type { JsonObject } from '../../../src/json.ts';
import { silentLogger, systemClock, systemFetch, systemRandom, type Ports } from '../../../src/ports.ts';
import type { Directory } from '../../../src/protocols/directory.ts';
import { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import type { DriverInput } from '../../../src/protocols/protocol.ts';
import { Secret } from '../../../src/secret.ts';
import type { SambaServer } from '../../servers/samba.ts';
import { AD_SUFFIX, REALM } from '../../servers/samba.ts';
import { serviceDn, servicePassword, SUFFIX, type SlapdServer } from '../../servers/slapd.ts';

export const PORTS: Ports = {
  clock: systemClock,
  random: systemRandom,
  fetch: systemFetch,
  logger: silentLogger,
};

export const NEVER = new AbortController().signal;

export interface Entered {
  readonly config: Record<string, unknown>;
  readonly secret: Record<string, unknown>;
}

/** A service account of slapd over StartTLS. */
export function slapdEntry(
  server: SlapdServer,
  { config = {}, secret = {} }: { config?: object; secret?: object } = {},
): Entered {
  return {
    config: {
      url: server.url,
      ca: server.authority.certificate,
      baseDn: SUFFIX,
      bindDn: serviceDn('service'),
      ...config,
    },
    secret: { password: servicePassword('service'), ...secret },
  };
}

/** A service account of the domain controller over ldaps. */
export function sambaEntry(
  server: SambaServer,
  bindDn: string,
  password: string,
  { config = {}, secret = {} }: { config?: object; secret?: object } = {},
): Entered {
  const where = { url: server.tlsUrl, ca: server.authority.certificate, baseDn: AD_SUFFIX, upnDomain: REALM };
  return {
    config: { preset: 'activeDirectory', ...where, bindDn, ...config },
    secret: { password, ...secret },
  };
}

/** What the engine hands to a driver for this entry. */
export function inputOf(
  driver: LdapDriver,
  { config, secret }: Entered,
  grant: Secret<JsonObject> | null = null,
): DriverInput {
  const parsed = driver.parseConfig(config);
  return { config: parsed, registered: Secret.of(driver.parseSecret(secret, parsed)), grant, signal: NEVER };
}

export const LEARNED = Secret.of<JsonObject>({ identity: null, vendor: null });

export function directoryOf(driver: LdapDriver, entry: Entered): Directory {
  const { directory } = driver.material(LEARNED, inputOf(driver, entry, LEARNED));
  if (directory === undefined) throw new Error('no directory');
  return directory;
}

/** Nobody has to be told before a request leaves. */
export const noop = (): Promise<() => void> => Promise.resolve(() => undefined);

/** Runs with a driver of its own and gives back its connections. */
export async function withDriver<T>(task: (driver: LdapDriver) => Promise<T>, ports: Partial<Ports> = {}): Promise<T> {
  const driver = new LdapDriver({ ...PORTS, ...ports });
  try {
    return await task(driver);
  } finally {
    await driver.close();
  }
}
