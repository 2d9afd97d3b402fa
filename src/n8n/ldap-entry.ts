import type { AdoptedEntry } from '../client.ts';
import {
  given,
  givenNumbers,
  givenPems,
  givenSecrets,
  hostOf,
  listOf,
  switchedOn,
  text,
  type CredentialData,
} from './form-values.ts';

/** The registration of the values of *LDAP (Lifecycle)*. @param name for people; default: account and server. */
export function ldapEntry(data: CredentialData, name?: string): AdoptedEntry {
  const isExternal = text(data, 'bindMethod') === 'external';
  const account = isExternal ? 'client certificate' : text(data, 'bindDn');
  return {
    name: name ?? `${account} at ${hostOf(text(data, 'url'))}`,
    protocol: 'ldap',
    config: {
      ...given(data, ['url', 'preset', 'baseDn', 'bindMethod']),
      ...(!isExternal && given(data, ['bindDn'])),
      ...(data['advanced'] === true && advancedSettings(data)),
    },
    secret: {
      ...(isExternal ? givenPems(data, ['clientCertificate', 'clientKey']) : givenSecrets(data, ['password'])),
      ...(data['advanced'] === true && secondAccount(data, ['rotatorPassword'], ['standbyPassword'], givenSecrets)),
    },
  };
}

function advancedSettings(data: CredentialData): Record<string, unknown> {
  const attributes = listOf(data, 'attributes');
  return {
    ...givenPems(data, ['ca']),
    ...given(data, ['serverName', 'userAuthentication', ...userName(data), 'userFilter', 'userBaseDn']),
    ...(attributes !== null && { attributes }),
    ...given(data, ['groups', ...(text(data, 'groups') === 'search' ? ['groupFilter', 'groupBaseDn'] : [])]),
    ...given(data, ['passwordPolicyDn']),
    ...secondAccount(data, ['rotatorDn'], ['standbyBindDn'], given),
    ...givenNumbers(data, ['lockoutWindowMs', 'maxConnections', 'maxUserBinds', 'pageSize', 'maxEntries']),
    ...givenNumbers(data, ['acquireTimeoutMs', 'connectTimeoutMs', 'operationTimeoutMs']),
    ...switchedOn(data, ['nestedGroups', 'allowInsecureTransport']),
  };
}

/** The field that belongs to the way in which people log in. */
function userName(data: CredentialData): string[] {
  const fields: Readonly<Record<string, string>> = { dnTemplate: 'userDnTemplate', upn: 'upnDomain' };
  const field = fields[text(data, 'userAuthentication')];
  return field === undefined ? [] : [field];
}

function secondAccount<T>(
  data: CredentialData,
  ofRotator: readonly string[],
  ofStandby: readonly string[],
  read: (data: CredentialData, fields: readonly string[]) => T,
): T {
  const who = text(data, 'passwordRotation');
  return read(data, who === 'rotator' ? ofRotator : who === 'standby' ? ofStandby : []);
}
