import type { CredentialEngine } from '../../engine.ts';
import type { SandboxAdministration } from '../../sandbox/administration-client.ts';
import type { ClientName } from '../../sandbox/options.ts';

const SAMPLE_TAG = 'sandbox';
const REUSE_GRACE_MS = 30_000;
const WRONG_SECRET = 'this-is-not-the-secret-of-this-client';

interface Sample {
  readonly client: ClientName;
  readonly name: string;
  readonly grantType: 'client_credentials' | 'refresh_token';
}

/** The four sample credentials: each shows another fate. */
export const SAMPLES: readonly Sample[] = [
  { client: 'machine', name: 'Machine access', grantType: 'client_credentials' },
  { client: 'rotating', name: 'Rotating grant', grantType: 'refresh_token' },
  { client: 'revoked', name: 'Soon revoked', grantType: 'refresh_token' },
  { client: 'wrongSecret', name: 'Wrong secret', grantType: 'client_credentials' },
];

/** Registers the samples in an empty store, and those that are missing after a start that was interrupted. */
export async function registerSamples(engine: CredentialEngine, server: SandboxAdministration): Promise<void> {
  const present = await engine.list({ tags: [SAMPLE_TAG], limit: 1_000 });
  const names = new Set(present.credentials.map(({ name }) => name));
  if (names.size === 0 && (await engine.list({ limit: 1 })).credentials.length > 0) return;
  for (const sample of SAMPLES) {
    if (!names.has(sample.name)) await registerSample(engine, server, sample);
  }
}

async function registerSample(
  engine: CredentialEngine,
  server: SandboxAdministration,
  { client, name, grantType }: Sample,
): Promise<void> {
  const { clientId, clientSecret } = server.clients[client];
  const secret = { clientSecret: client === 'wrongSecret' ? WRONG_SECRET : clientSecret };
  const rotating = grantType === 'refresh_token';
  await engine.register({
    protocol: 'oauth2',
    name,
    tags: [SAMPLE_TAG],
    config: {
      issuer: server.issuer,
      grantType,
      clientId,
      scope: 'api',
      allowInsecureTransport: true,
      ...(rotating && { reuseGraceMs: REUSE_GRACE_MS }),
    },
    secret: rotating ? { ...secret, refreshToken: await server.mintRefreshToken(client) } : secret,
  });
}
