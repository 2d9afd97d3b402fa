import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import manifest from '../../package.json';
import { installPackage } from './installed-package.ts';
import { N8nServer } from './n8n-server.ts';

const CREDENTIAL_TYPES = [
  'credentialLifecycleAccessApi',
  'lifecycleBasicApi',
  'lifecycleLdapApi',
  'lifecycleOAuth2Api',
  'managedCredentialApi',
];

describe('the packed tarball, installed as n8n installs it', () => {
  let n8n: N8nServer;

  beforeAll(async () => {
    n8n = await N8nServer.start({ packages: [installPackage()] });
  });
  afterAll(async () => {
    await n8n.stop();
  });

  it('loads without a complaint of n8n', () => {
    const complaints = n8n.log.split('\n').filter((line) => /failed to load|error loading/i.test(line));
    expect(complaints).toEqual([]);
  });

  it('has all its credential types listed', async () => {
    const listed = (await n8n.credentialTypes()).map((type) => type.name);
    expect(listed.filter((name) => CREDENTIAL_TYPES.includes(name)).sort()).toEqual(CREDENTIAL_TYPES);
  });

  it('has its node listed under the name of the package', async () => {
    const listed = (await n8n.nodeTypes()).map((type) => type.name);
    expect(listed.filter((name) => name.startsWith(manifest.name))).toContain(`${manifest.name}.credentialLifecycle`);
  });
});
