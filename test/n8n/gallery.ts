import type { CredentialEngine } from '../../src/engine.ts';
import type { AccessScope } from '../../src/client.ts';
import { PasswordService } from '../servers/password-service.ts';
import { serviceDn, servicePassword, SlapdServer, SUFFIX, uidOf } from '../servers/slapd.ts';
import { Started } from '../support/started.ts';
import type { Editor, Picture } from './editor.ts';
import { chain, type CredentialReference, manualTrigger, node, type WorkflowNode } from './workflow.ts';
import type { World } from './world.ts';

const PACKAGE = 'n8n-nodes-credential-lifecycle';
const TESTED = 'Connection tested successfully';

/** One picture of the documentation. */
export interface Exhibit {
  /** The file is `<name>.<theme>.png`. */
  readonly name: string;
  /** The credential type or node type that it shows, without the name of the package. */
  readonly of: string;
  readonly take: (editor: Editor) => Promise<Picture>;
}

/** What is on show: each credential type's form and each node's panel, filled in as a user would, on real servers. */
export class Gallery {
  readonly exhibits: readonly Exhibit[];
  readonly #started: Started;

  private constructor(exhibits: readonly Exhibit[], started: Started) {
    this.exhibits = exhibits;
    this.#started = started;
  }

  static async open(world: World): Promise<Gallery> {
    return Started.together(async (started) => {
      const directory = await started.add(SlapdServer.start());
      const service = await started.add(PasswordService.start());
      const ldap = await ldapCredential(world, directory);
      const exhibits = [
        ...(await oauth2Forms(world)),
        await connectForm(world),
        form('ldap-form', ldap),
        form('basic-form', await basicCredential(world, service)),
        ...(await panels(world, ldap)),
      ];
      return new Gallery(exhibits, started);
    });
  }

  async stop(): Promise<void> {
    await this.#started.stop();
  }
}

async function oauth2Forms(world: World): Promise<Exhibit[]> {
  const oauth2 = await world.lifecycleOAuth2();
  const id = await world.registered('Billing');
  const managed = { credentialId: id, accessKey: await keyTo(world, id, 'use') };
  const scrolled = async (editor: Editor) => {
    await editor.credentialForm(oauth2, TESTED);
    return editor.scrollForm();
  };
  return [
    form('oauth2-form', oauth2),
    { name: 'oauth2-advanced', of: oauth2.type, take: scrolled },
    form('managed-form', await world.n8n.createCredential('managedCredentialApi', 'Billing', managed)),
    form('access-form', await accessCredential(world)),
  ];
}

/** As n8n stores it when a person has pressed the button and signed in. */
async function connectForm(world: World): Promise<Exhibit> {
  const { clientId, clientSecret } = world.server.clients.rotating;
  const data = {
    grantType: 'authorizationCode',
    authUrl: `${world.server.issuer}/auth`,
    accessTokenUrl: world.server.tokenEndpoint,
    ...{ clientId, clientSecret, scope: '', authentication: 'header', allowInsecureTransport: true },
    oauthTokenData: {
      access_token: 'as-it-came-with-the-sign-in',
      token_type: 'Bearer',
      refresh_token: await world.server.mintRefreshToken('rotating'),
    },
  };
  const credential = await world.n8n.createCredential('lifecycleConnectOAuth2Api', 'Calendar of Olive', data);
  return form('connect-form', credential, 'Account connected');
}

function ldapCredential(world: World, directory: SlapdServer): Promise<CredentialReference> {
  return world.n8n.createCredential('lifecycleLdapApi', 'Staff directory', {
    ...{ url: `ldap://localhost:${String(directory.port)}`, preset: 'openldap', baseDn: SUFFIX, bindMethod: 'simple' },
    ...{ bindDn: serviceDn('service'), password: servicePassword('service') },
    ...{ advanced: true, allowInsecureTransport: true },
  });
}

function basicCredential(world: World, service: PasswordService): Promise<CredentialReference> {
  return world.n8n.createCredential('lifecycleBasicApi', 'Old warehouse', {
    ...{ username: service.username, password: service.password, testUrl: `${service.url}/whoami` },
    ...{ advanced: true, allowInsecureTransport: true },
  });
}

async function panels(world: World, ldap: CredentialReference): Promise<Exhibit[]> {
  const access = await accessCredential(world);
  const list = node({
    name: 'Credential Lifecycle',
    type: `${PACKAGE}.credentialLifecycle`,
    parameters: { resource: 'credential', operation: 'list', filters: { state: 'valid' } },
    credential: access,
  });
  const search = node({
    name: 'Directory',
    type: `${PACKAGE}.directory`,
    parameters: {
      authentication: ldap.type,
      operation: 'search',
      conditions: { condition: [{ attribute: 'uid', operator: 'equals', value: uidOf(5) }] },
    },
    credential: ldap,
  });
  const trigger = node({
    name: 'Credential Lifecycle Trigger',
    type: `${PACKAGE}.credentialLifecycleTrigger`,
    parameters: { events: ['credential.registered', 'credential.refreshed'], filters: {}, startFrom: 'now' },
    credential: access,
  });
  return [
    await panel(world, 'lifecycle-node', [manualTrigger(), list]),
    await panel(world, 'directory-node', [manualTrigger(), search]),
    await panel(world, 'trigger-node', [trigger]),
  ];
}

async function panel(world: World, name: string, nodes: readonly WorkflowNode[]): Promise<Exhibit> {
  const workflow = await world.n8n.createWorkflow(chain(`Workflow of ${name}`, nodes));
  const shown = nodes[nodes.length - 1];
  if (!shown) throw new Error('a workflow has nodes');
  const take = async (editor: Editor) => {
    await editor.nodePanel(workflow, shown);
    return editor.executeStep();
  };
  return { name, of: shown.type.replace(`${PACKAGE}.`, ''), take };
}

function form(name: string, credential: CredentialReference, sign = TESTED): Exhibit {
  return { name, of: credential.type, take: (editor) => editor.credentialForm(credential, sign) };
}

async function accessCredential(world: World): Promise<CredentialReference> {
  const data = { accessKey: await keyTo(world, null, 'list') };
  return world.n8n.createCredential('credentialLifecycleAccessApi', 'Lifecycle access', data);
}

async function keyTo(world: World, id: string | null, ...scopes: AccessScope[]): Promise<string> {
  const granted = await world.withEngine((engine: CredentialEngine) => engine.grant(id, { scopes }));
  return granted.accessKey;
}
