import type { DocumentKind, DocumentMerge, DocumentName, DocumentTable, LedgerDocument } from './documents.ts';
import type { Parameter, PostgresDatabase } from './postgres-database.ts';
import { compareTexts } from './texts.ts';

interface Row {
  readonly kind: DocumentKind;
  readonly subject: string;
  readonly item: string;
  readonly revision: string;
  readonly due_at: string | null;
  readonly body: string;
}

const COLUMNS = 'kind, subject, item, revision, due_at, body';
const IS_NAMED = 'kind = $1 AND subject = $2 AND item = $3';
const INSERT = `INSERT INTO documents (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)`;
const CHANGED = 'revision = $4, due_at = $5, body = $6';

/** The ledger's documents in the table `documents`. */
export class PostgresDocuments implements DocumentTable {
  readonly #database: PostgresDatabase;

  constructor(database: PostgresDatabase) {
    this.#database = database;
  }

  async getDocument(name: DocumentName): Promise<LedgerDocument | null> {
    const sql = `SELECT ${COLUMNS} FROM documents WHERE ${IS_NAMED}`;
    const [row] = await this.#database.find<Row>(sql, nameOf(name));
    return row ? documentOf(row) : null;
  }

  async insertDocument(document: LedgerDocument): Promise<boolean> {
    return (await this.#write(`${INSERT} ON CONFLICT DO NOTHING`, valuesOf(document))) === 1;
  }

  async replaceDocument(document: LedgerDocument, expectedRevision: number): Promise<boolean> {
    const sql = `UPDATE documents SET ${CHANGED} WHERE ${IS_NAMED} AND revision = $7`;
    return (await this.#write(sql, [...valuesOf(document), expectedRevision])) === 1;
  }

  async putDocument(document: LedgerDocument): Promise<void> {
    await this.#write(`${INSERT} ON CONFLICT (kind, subject, item) DO UPDATE SET ${CHANGED}`, valuesOf(document));
  }

  async deleteDocument(name: DocumentName): Promise<boolean> {
    const sql = `DELETE FROM documents WHERE ${IS_NAMED} RETURNING 1`;
    return (await this.#database.find(sql, nameOf(name))).length === 1;
  }

  async listDocuments(kind: DocumentKind, subject: string): Promise<LedgerDocument[]> {
    const sql = `SELECT ${COLUMNS} FROM documents WHERE kind = $1 AND subject = $2 ORDER BY item`;
    return (await this.#database.find<Row>(sql, [kind, subject])).map(documentOf);
  }

  async listDueDocuments(kind: DocumentKind, dueAt: string, limit: number): Promise<LedgerDocument[]> {
    const sql = `SELECT ${COLUMNS} FROM documents WHERE kind = $1 AND due_at <= $2 ORDER BY due_at, subject LIMIT $3`;
    return (await this.#database.find<Row>(sql, [kind, dueAt, limit])).map(documentOf);
  }

  async deleteDueDocuments(kind: DocumentKind, dueAt: string): Promise<number> {
    return this.#write('DELETE FROM documents WHERE kind = $1 AND due_at <= $2', [kind, dueAt]);
  }

  async getDocumentsOf(kind: DocumentKind, subjects: readonly string[]): Promise<LedgerDocument[]> {
    const sql = `SELECT ${COLUMNS} FROM documents WHERE kind = $1 AND item = '' AND subject = ANY ($2)`;
    return (await this.#database.find<Row>(sql, [kind, subjects])).map(documentOf);
  }

  async mergeDocuments(kind: DocumentKind, merges: readonly DocumentMerge[]): Promise<void> {
    await this.#database.transaction(async (tx) => {
      // In one order, so that two processes do not wait for each other.
      for (const { subject, merge } of merges.toSorted((a, b) => compareTexts(a.subject, b.subject))) {
        // The row has to be there to be locked, so that two processes add one after the other.
        const found = await tx.run(
          `INSERT INTO documents (${COLUMNS}) SELECT $1, id, '', 0, NULL, '' FROM records WHERE id = $2 FOR KEY SHARE
           ON CONFLICT (kind, subject, item) DO UPDATE SET revision = documents.revision`,
          [kind, subject],
        );
        if (found === 0) continue;
        const [row] = await tx.find<Row>(`SELECT ${COLUMNS} FROM documents WHERE ${IS_NAMED}`, [kind, subject, '']);
        const body = merge(row === undefined || row.body === '' ? null : row.body);
        const revision = Number(row?.revision ?? 0) + 1;
        await tx.run(`UPDATE documents SET ${CHANGED} WHERE ${IS_NAMED}`, [kind, subject, '', revision, null, body]);
      }
    });
  }

  async #write(sql: string, parameters: readonly Parameter[]): Promise<number> {
    return this.#database.transaction((tx) => tx.run(sql, parameters));
  }
}

function nameOf({ kind, subject, item }: DocumentName): [string, string, string] {
  return [kind, subject, item];
}

function valuesOf(document: LedgerDocument): Parameter[] {
  return [...nameOf(document), document.revision, document.dueAt, document.body];
}

function documentOf({ due_at: dueAt, revision, ...row }: Row): LedgerDocument {
  return { ...row, revision: Number(revision), dueAt };
}
