import type { Ports } from './ports.ts';
import { BasicDriver } from './protocols/basic/driver.ts';
import { LdapDriver } from './protocols/ldap/driver.ts';
import { OAuth2Driver } from './protocols/oauth2/driver.ts';
import type { ProtocolDriver } from './protocols/protocol.ts';

/** The protocols that this package speaks. A new one is added here and nowhere else. */
export function ownDrivers(ports: Ports): readonly ProtocolDriver[] {
  return [new OAuth2Driver(ports), new LdapDriver(ports), new BasicDriver(ports)];
}
