import { Issuer, type LogEntry } from '../../servers/issuer.ts';

/** Clients of the judge by their reuse grace. */
export const GRACES = { 'grace-0': 0, 'grace-10': 10_000, 'grace-30': 30_000 } as const;
export type GraceClient = keyof typeof GRACES;

export function startJudge(): Promise<Issuer> {
  const clients = Object.entries(GRACES).map(([clientId, reuseGraceMs]) => ({
    clientId,
    clientSecret: 'secret',
    reuseGraceMs,
  }));
  return Issuer.start({ clients });
}

/** A rotating credential at the judge, with a consent of its own, and the judge's log about that consent. */
export async function judgedEntry(issuer: Issuer, clientId: GraceClient, overrides: { config?: object } = {}) {
  const { familyId, refreshToken } = await issuer.mint(clientId);
  const entry = {
    protocol: 'oauth2',
    name: familyId,
    config: {
      tokenEndpoint: issuer.tokenEndpoint,
      grantType: 'refresh_token',
      clientId,
      reuseGraceMs: GRACES[clientId],
      allowInsecureTransport: true,
      ...overrides.config,
    },
    secret: { clientSecret: 'secret', refreshToken },
  };
  const log = async (): Promise<LogEntry[]> => (await issuer.log()).filter((logged) => logged.familyId === familyId);
  return { entry, familyId, log };
}
