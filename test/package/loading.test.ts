import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod/v4';
import { PACKAGE_FOLDER, PackageHost } from './package-host.ts';

// n8n's loader alone takes seconds on a busy machine.
jest.setTimeout(60_000);

const icons = z.object({ light: z.string(), dark: z.string() });
const property = z.looseObject({ name: z.string(), type: z.string(), typeOptions: z.looseObject({}).optional() });
const description = z.object({
  credentials: z.array(
    z.looseObject({ name: z.string(), iconUrl: icons, documentationUrl: z.url(), properties: z.array(property) }),
  ),
  nodes: z.array(z.looseObject({ name: z.string(), iconUrl: icons, properties: z.array(property) })),
});

const shownWith = z.object({ show: z.object({ resource: z.array(z.string()), operation: z.array(z.string()) }) });

const host = new PackageHost();
let loaded: z.infer<typeof description>;
let nativeModules: unknown;

beforeAll(async () => {
  const { results } = await host.run([{ do: 'loadedModules', matching: 'better-sqlite3/' }, { do: 'describe' }]);
  nativeModules = results[0];
  loaded = description.parse(results[1]);
});
afterAll(() => {
  host.remove();
});

function credentialType(name: string) {
  const type = loaded.credentials.find((one) => one.name === name);
  if (!type) throw new Error(`${name} was not loaded`);
  return type;
}

describe("the built package in n8n-core's own loader", () => {
  it('brings its credential types and its nodes', () => {
    expect(loaded.credentials.map(({ name, displayName }) => [name, displayName])).toEqual([
      ['lifecycleOAuth2Api', 'OAuth2 (Lifecycle) API'],
      ['lifecycleLdapApi', 'LDAP (Lifecycle) API'],
      ['lifecycleBasicApi', 'Basic Auth (Lifecycle) API'],
      ['lifecycleConnectOAuth2Api', 'Connect Button (Lifecycle) OAuth2 API'],
      ['managedCredentialApi', 'Managed Credential API'],
      ['credentialLifecycleAccessApi', 'Credential Lifecycle Access API'],
    ]);
    expect(loaded.nodes.map(({ name }) => name)).toEqual([
      'credentialLifecycle',
      'credentialLifecycleTrigger',
      'directory',
    ]);
  });

  it('opens no engine and loads no native module while n8n loads it', () => {
    expect(nativeModules).toEqual([]);
    expect(existsSync(host.engineFolder)).toBe(false);
  });

  it('has every icon where n8n looks for it, light and dark', () => {
    const urls = [...loaded.credentials, ...loaded.nodes].flatMap(({ iconUrl }) => [iconUrl.light, iconUrl.dark]);
    expect(new Set(urls).size).toBe(4);
    for (const url of urls) {
      const file = join(PACKAGE_FOLDER, url.replace('icons/n8n-nodes-credential-lifecycle/', ''));
      expect(readFileSync(file, 'utf8')).toContain('<svg');
    }
  });

  it.each(['lifecycleOAuth2Api', 'lifecycleBasicApi', 'managedCredentialApi'])(
    'lets any HTTP Request node use %s',
    (name) => {
      expect(credentialType(name)).toMatchObject({ authenticate: 'function', preAuthentication: 'function' });
    },
  );

  it.each(['credentialLifecycleAccessApi', 'lifecycleLdapApi'])('lets no HTTP Request node use %s', (name) => {
    expect(credentialType(name)).toMatchObject({ authenticate: 'undefined' });
  });

  it.each(['lifecycleOAuth2Api', 'lifecycleBasicApi', 'managedCredentialApi'])(
    'gives %s a hidden, masked, expirable marker',
    (name) => {
      const hidden = credentialType(name).properties.filter(({ type }) => type === 'hidden');
      expect(hidden).toEqual([
        expect.objectContaining({
          name: 'generationMarker',
          default: '',
          typeOptions: { expirable: true, password: true },
        }),
      ]);
    },
  );

  it.each([
    [
      'lifecycleOAuth2Api',
      ['clientSecret', 'clientKey', 'refreshToken', 'subjectToken', 'actorToken', 'assertionKey', 'generationMarker'],
    ],
    ['lifecycleLdapApi', ['password', 'clientKey', 'rotatorPassword', 'standbyPassword']],
    ['lifecycleBasicApi', ['password', 'webhookSecret', 'generationMarker']],
    ['managedCredentialApi', ['accessKey', 'generationMarker']],
    ['credentialLifecycleAccessApi', ['accessKey']],
  ])('masks the secrets of %s', (name, secrets) => {
    const masked = credentialType(name).properties.filter(({ typeOptions }) => typeOptions?.['password'] === true);
    expect(masked.map((one) => one.name)).toEqual(secrets);
  });

  it('has a test for each of its credential types, where n8n looks for it', () => {
    const method = z.object({ credentialTest: z.array(z.string()).default([]) });
    const entries = z.array(z.object({ name: z.string(), testedBy: z.string().optional() }));
    for (const { name, supportedNodes, extends: parents } of loaded.credentials) {
      // n8n itself looks at tokens of its own OAuth2, and asks for no other test.
      if (parents !== undefined) continue;
      const nodes = z.array(z.string()).parse(supportedNodes);
      const candidates = nodes.flatMap((nodeName) => {
        const node = loaded.nodes.find((one) => one.name === nodeName);
        const entry = entries.parse(node?.['credentials']).find((one) => one.name === name);
        return entry?.testedBy === undefined ? [] : [{ node, testedBy: entry.testedBy }];
      });
      const [tested] = candidates;
      expect(method.parse(tested?.node?.['methods']).credentialTest).toContain(tested?.testedBy);
    }
  });

  it('offers a verb of the engine in each operation, and asks for the credential in all of them but the list', () => {
    const [node] = loaded.nodes;
    const operation = node?.properties.find(({ name }) => name === 'operation');
    const options = z.array(z.looseObject({ value: z.string() })).parse(operation?.['options']);
    expect(options.map(({ value }) => value)).toEqual([
      'delete',
      'get',
      'list',
      'pause',
      'refresh',
      'resume',
      'revoke',
      'rollback',
      'rotate',
      'test',
      'update',
      'use',
    ]);
    const pickers = node?.properties.filter(({ name }) => name === 'credentialId') ?? [];
    const shown = pickers.map(({ displayOptions }) => shownWith.parse(displayOptions).show);
    const asking = shown.flatMap(({ resource, operation }) => (resource.includes('credential') ? operation : []));
    expect(asking.sort()).toEqual(options.map(({ value }) => value).filter((value) => value !== 'list'));
  });

  it('has its codex', () => {
    expect(loaded.nodes[0]).toMatchObject({ codex: { categories: ['Development', 'Utility'] } });
  });
});
