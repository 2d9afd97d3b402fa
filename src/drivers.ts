import type { Ports } from './ports.ts';
import { BasicDriver } from './protocols/basic/driver.ts';
import { LdapDriver } from './protocols/ldap/driver.ts';
import type { N8nConnection } from './protocols/n8n/config.ts';
import { N8nDriver } from './protocols/n8n/driver.ts';
import { OAuth2Driver } from './protocols/oauth2/driver.ts';
import type { ProtocolDriver } from './protocols/protocol.ts';

/** The protocols that this package speaks. A new one is added here and nowhere else. */
export function ownDrivers(ports: Ports, n8n?: N8nConnection): readonly ProtocolDriver[] {
  return [new OAuth2Driver(ports), new LdapDriver(ports), new BasicDriver(ports), new N8nDriver(ports, n8n)];
}
