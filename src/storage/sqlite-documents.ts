import type Database from 'better-sqlite3';
import type { DocumentKind, DocumentMerge, DocumentName, DocumentTable, LedgerDocument } from './documents.ts';
import { translated } from './sqlite-errors.ts';
import type { SqliteWriter } from './sqlite-writer.ts';

interface Row {
  readonly kind: DocumentKind;
  readonly subject: string;
  readonly item: string;
  readonly revision: number;
  readonly due_at: string | null;
  readonly body: string;
}

const COLUMNS = 'kind, subject, item, revision, due_at, body';
const IS_NAMED = 'kind = @kind AND subject = @subject AND item = @item';
const INSERT = `INSERT INTO documents (${COLUMNS}) VALUES (@kind, @subject, @item, @revision, @dueAt, @body)`;
const CHANGED = 'revision = @revision, due_at = @dueAt, body = @body';

/** The ledger's documents in the table `documents`. */
export class SqliteDocuments implements DocumentTable {
  readonly #db: Database.Database;
  readonly #writer: SqliteWriter;
  readonly #select: Database.Statement<[DocumentName], Row>;
  readonly #insert: Database.Statement<[LedgerDocument]>;
  readonly #replace: Database.Statement<[LedgerDocument & { expectedRevision: number }]>;
  readonly #put: Database.Statement<[LedgerDocument]>;
  readonly #remove: Database.Statement<[DocumentName]>;
  readonly #list: Database.Statement<[string, string], Row>;
  readonly #due: Database.Statement<[string, string, number], Row>;
  readonly #removeDue: Database.Statement<[string, string]>;
  readonly #isRecord: Database.Statement<[string], number>;

  constructor(db: Database.Database, writer: SqliteWriter) {
    this.#db = db;
    this.#writer = writer;
    this.#select = db.prepare(`SELECT ${COLUMNS} FROM documents WHERE ${IS_NAMED}`);
    this.#insert = db.prepare(`${INSERT} ON CONFLICT DO NOTHING`);
    this.#replace = db.prepare(`UPDATE documents SET ${CHANGED} WHERE ${IS_NAMED} AND revision = @expectedRevision`);
    this.#put = db.prepare(`${INSERT} ON CONFLICT (kind, subject, item) DO UPDATE SET ${CHANGED}`);
    this.#remove = db.prepare(`DELETE FROM documents WHERE ${IS_NAMED}`);
    this.#list = db.prepare(`SELECT ${COLUMNS} FROM documents WHERE kind = ? AND subject = ? ORDER BY item`);
    this.#due = db.prepare(
      `SELECT ${COLUMNS} FROM documents WHERE kind = ? AND due_at <= ? ORDER BY due_at, subject LIMIT ?`,
    );
    this.#isRecord = db.prepare<[string], number>('SELECT 1 FROM records WHERE id = ?').pluck();
    this.#removeDue = db.prepare('DELETE FROM documents WHERE kind = ? AND due_at <= ?');
  }

  async getDocument(name: DocumentName): Promise<LedgerDocument | null> {
    const row = this.#run(() => this.#select.get(name));
    return row ? documentOf(row) : null;
  }

  async insertDocument(document: LedgerDocument): Promise<boolean> {
    return this.#writer.write(() => this.#insert.run(document).changes === 1);
  }

  async replaceDocument(document: LedgerDocument, expectedRevision: number): Promise<boolean> {
    return this.#writer.write(() => this.#replace.run({ ...document, expectedRevision }).changes === 1);
  }

  async putDocument(document: LedgerDocument): Promise<void> {
    await this.#writer.write(() => this.#put.run(document));
  }

  async deleteDocument(name: DocumentName): Promise<boolean> {
    return this.#writer.write(() => this.#remove.run(name).changes === 1);
  }

  async listDocuments(kind: DocumentKind, subject: string): Promise<LedgerDocument[]> {
    return this.#run(() => this.#list.all(kind, subject)).map(documentOf);
  }

  async listDueDocuments(kind: DocumentKind, dueAt: string, limit: number): Promise<LedgerDocument[]> {
    return this.#run(() => this.#due.all(kind, dueAt, limit)).map(documentOf);
  }

  async deleteDueDocuments(kind: DocumentKind, dueAt: string): Promise<number> {
    return this.#writer.write(() => this.#removeDue.run(kind, dueAt).changes);
  }

  async getDocumentsOf(kind: DocumentKind, subjects: readonly string[]): Promise<LedgerDocument[]> {
    return this.#run(() => subjects.flatMap((subject) => this.#select.get({ kind, subject, item: '' }) ?? [])).map(
      documentOf,
    );
  }

  async mergeDocuments(kind: DocumentKind, merges: readonly DocumentMerge[]): Promise<void> {
    const write = (): void => {
      for (const { subject, merge } of merges) this.#mergeOne({ kind, subject, item: '' }, merge);
    };
    try {
      // At once, for the end of a process has no later turn.
      this.#db.transaction(write).immediate();
    } catch {
      await this.#writer.write(write);
    }
  }

  #mergeOne(name: DocumentName, merge: DocumentMerge['merge']): void {
    if (this.#isRecord.get(name.subject) === undefined) return;
    const known = this.#select.get(name);
    const revision = (known?.revision ?? 0) + 1;
    this.#put.run({ ...name, revision, dueAt: null, body: merge(known?.body ?? null) });
  }

  #run<T>(operation: () => T): T {
    return translated(this.#db.name, operation);
  }
}

function documentOf({ due_at: dueAt, ...row }: Row): LedgerDocument {
  return { ...row, dueAt };
}
