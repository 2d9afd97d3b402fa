// Writes records, secrets, tokens, sessions and key-values in the course that it is given, and tells each step before and after, until
// it is killed. The lines are written at once, so that a kill cannot take back one that was said.
import { createHmac } from 'node:crypto';
import { writeSync } from 'node:fs';
import process from 'node:process';
import { aRecord, openAuthStorage, openStores, ports, Secret } from '../../scripts/stores/built.mjs';

/**
 * @typedef {{ what: 'record' | 'secret' | 'token' | 'session' | 'keyValue', name: string, version: number }} Step
 * @type {{ database: string, course: Step[] }}
 */
const { database, course } = JSON.parse(process.argv[2] ?? '{}');

const { records, secrets } = await openStores(database, ports);
/** @param {string} purpose @param {string} text */
const hash = (purpose, text) => createHmac('sha256', 'key').update(`${purpose}:${text}`).digest();
const auth = await openAuthStorage(database, { ports, hash });

/** @param {object} line */
const tell = (line) => writeSync(1, `${JSON.stringify(line)}\n`);

/** @type {Record<Step['what'], (name: string, version: number) => Promise<unknown>>} */
const writes = {
  record: async (name, version) => {
    const next = { name: `Word${version} of ${name}`, tags: [`t${version}`], config: { version } };
    const before = await records.get(name);
    if (before === null) return records.insert(aRecord({ id: name, ...next }), []);
    const record = { ...before, ...next, revision: before.revision + 1 };
    return records.compareAndSet({ record, expectedRevision: before.revision });
  },
  secret: (name, version) =>
    secrets.putIfAbsent(
      { credentialId: name, field: 'grant', generation: version, attemptId: 'a' },
      Buffer.from(`${name} ${version}`),
    ),
  token: async (name, version) => {
    if (version % 7 === 0) return auth.tokens.delete(name);
    const token = {
      ...{ tokenId: name, userId: `user ${version % 5}`, tokenType: 'Bearer', subject: null, issuer: null },
      ...{ clientId: null, authMethod: 'password', scopes: [], permissions: [], roles: [], userProfile: null },
      ...{ metadata: { version }, issuedAt: new Date(0), expiresAt: null },
      ...{ accessToken: Secret.of(`${name} ${version}`), refreshToken: null },
    };
    return (await auth.tokens.update(token)) || auth.tokens.put(token);
  },
  session: async (name, version) => {
    if (version % 7 === 0) return auth.sessions.end(name);
    const data = { version };
    const session = {
      sessionId: name,
      userId: `user ${version % 5}`,
      expiresAt: null,
      ipAddress: null,
      userAgent: null,
    };
    return (await auth.sessions.update(name, () => data)) || auth.sessions.start({ ...session, data });
  },
  keyValue: (name, version) =>
    version % 7 === 0 ? auth.keyValues.delete(name) : auth.keyValues.put(name, Buffer.from(String(version))),
};

for (const step of course) {
  tell({ intended: step });
  await writes[step.what](step.name, step.version);
  tell({ acknowledged: step });
}
tell({ finished: true });
setInterval(() => undefined, 1_000);
