import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type Database from 'better-sqlite3';
import { z } from 'zod/v4';
import type { RandomSource } from '../ports.ts';
import { CLIENT_NAMES } from './options.ts';

const clientSecrets = z.record(z.enum(CLIENT_NAMES), z.string());

const keptSettingsSchema = z.strictObject({
  /** `null` until the server listened for the first time. */
  port: z.int().nullable(),
  jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.string())) }),
  cookieKeys: z.array(z.string()),
  administrationToken: z.string(),
  clientSecrets,
});

/** What makes a restarted server the same server. */
export type KeptSettings = z.output<typeof keptSettingsSchema>;

/** Reads the settings of the server that lived here before, or makes and keeps new ones. */
export async function keptSettings(database: Database.Database, random: RandomSource): Promise<KeptSettings> {
  const row = database.prepare<[], { value: string }>(`SELECT value FROM setting WHERE name = 'kept'`).get();
  if (row) return keptSettingsSchema.parse(JSON.parse(row.value));
  const settings = await newSettings(random);
  saveSettings(database, settings);
  return settings;
}

export function keepPort(database: Database.Database, settings: KeptSettings, port: number): void {
  saveSettings(database, { ...settings, port });
}

function saveSettings(database: Database.Database, settings: KeptSettings): void {
  database.prepare(`INSERT OR REPLACE INTO setting (name, value) VALUES ('kept', ?)`).run(JSON.stringify(settings));
}

async function newSettings(random: RandomSource): Promise<KeptSettings> {
  const secret = (): string => random.bytes(32).toString('base64url');
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: secret() };
  return keptSettingsSchema.parse({
    port: null,
    jwks: { keys: [key] },
    cookieKeys: [secret()],
    administrationToken: secret(),
    clientSecrets: Object.fromEntries(CLIENT_NAMES.map((name) => [name, secret()])),
  });
}
