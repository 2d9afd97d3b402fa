import type { ICredentialDataDecryptedObject, ICredentialsDecrypted, INodeCredentialTestResult } from 'n8n-workflow';
import type { EngineClient } from '../client.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { basicEntry } from './basic-entry.ts';
import { managedCredential, operatorOf } from './credential-sources.ts';
import { openedClient } from './engine-registry.ts';
import { describeError } from './errors.ts';
import { ldapEntry } from './ldap-entry.ts';
import { oauth2Entry } from './oauth2-entry.ts';

type Client = () => Promise<EngineClient>;
type CredentialTest = (credential: ICredentialsDecrypted) => Promise<INodeCredentialTestResult>;

/**
 * The tests behind "Test" in n8n's credential editor. They never throw, since n8n answers that with a stack trace, and
 * they work on values that were not saved yet.
 */
export function credentialTests(
  client: Client = openedClient,
): Record<'oauth2' | 'basic' | 'ldap' | 'managed' | 'access', CredentialTest> {
  return {
    oauth2: guarded(async ({ name, data }) => {
      const handle = await (await client()).adopted(oauth2Entry(data, name));
      return resultOf(await handle.test());
    }),
    basic: guarded(async ({ name, data }) => {
      const handle = await (await client()).adopted(basicEntry(data, name));
      return resultOf(await handle.test(UNLESS_JUST_DONE));
    }),
    ldap: guarded(async ({ name, data }) => {
      const handle = await (await client()).adopted(ldapEntry(data, name));
      return resultOf(await handle.test(UNLESS_JUST_DONE));
    }),
    managed: guarded(async ({ data }) => {
      const handle = await managedCredential.handle(await client(), data);
      return resultOf(await (handle.protocol === 'oauth2' ? handle.test() : handle.test(UNLESS_JUST_DONE)));
    }),
    access: guarded(async ({ data }) => {
      await operatorOf(await client(), data);
      return { status: 'OK', message: 'The engine knows this access key.' };
    }),
  };
}

/** The editor tests more often than people press its button, and where a test is a login each refused one counts. */
const UNLESS_JUST_DONE = { cached: true };

interface Entered {
  readonly name: string;
  readonly data: ICredentialDataDecryptedObject;
}

function guarded(test: (entered: Entered) => Promise<INodeCredentialTestResult>): CredentialTest {
  return async ({ name, data }) => {
    try {
      return await test({ name, data: data ?? {} });
    } catch (error) {
      return { status: 'Error', message: describeError(error) };
    }
  };
}

function resultOf({ success, message }: TestResult): INodeCredentialTestResult {
  return { status: success ? 'OK' : 'Error', message: message };
}
