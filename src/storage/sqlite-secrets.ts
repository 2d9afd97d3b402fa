import type Database from 'better-sqlite3';
import type { SecretField } from '../lifecycle/credential.ts';
import type { SecretKey, SecretStore } from './secret-store.ts';
import { translated } from './sqlite-errors.ts';

interface SecretRow {
  readonly field: SecretField;
  readonly generation: number;
  readonly attempt_id: string;
}

/** Sealed envelopes in the table `secrets`. */
export class SqliteSecretStore implements SecretStore {
  readonly #path: string;
  readonly #insert: Database.Statement<[string, string, number, string, Buffer]>;
  readonly #select: Database.Statement<[string, string, number, string], Buffer>;
  readonly #remove: Database.Statement<[string, string, number, string]>;
  readonly #list: Database.Statement<[string], SecretRow>;

  constructor(db: Database.Database) {
    const name = 'credential_id = ? AND field = ? AND generation = ? AND attempt_id = ?';
    this.#path = db.name;
    this.#insert = db.prepare('INSERT INTO secrets VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#select = db
      .prepare<[string, string, number, string], Buffer>(`SELECT envelope FROM secrets WHERE ${name}`)
      .pluck();
    this.#remove = db.prepare(`DELETE FROM secrets WHERE ${name}`);
    this.#list = db.prepare('SELECT field, generation, attempt_id FROM secrets WHERE credential_id = ?');
  }

  async putIfAbsent(key: SecretKey, envelope: Buffer): Promise<boolean> {
    return translated(this.#path, () => this.#insert.run(...nameOf(key), envelope).changes === 1);
  }

  async get(key: SecretKey): Promise<Buffer | null> {
    return translated(this.#path, () => this.#select.get(...nameOf(key)) ?? null);
  }

  async delete(key: SecretKey): Promise<void> {
    translated(this.#path, () => this.#remove.run(...nameOf(key)));
  }

  async list(credentialId: string): Promise<SecretKey[]> {
    return translated(this.#path, () =>
      this.#list.all(credentialId).map((row) => ({
        credentialId,
        field: row.field,
        generation: row.generation,
        attemptId: row.attempt_id,
      })),
    );
  }
}

function nameOf(key: SecretKey): [string, string, number, string] {
  return [key.credentialId, key.field, key.generation, key.attemptId];
}
