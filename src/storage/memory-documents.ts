import type { DocumentKind, DocumentMerge, DocumentName, DocumentTable, LedgerDocument } from './documents.ts';
import { compareTexts } from './texts.ts';

/** The ledger's documents in a map. */
export class MemoryDocuments implements DocumentTable {
  readonly #documents = new Map<string, LedgerDocument>();
  readonly #isRecord: (id: string) => boolean;

  constructor(isRecord: (id: string) => boolean) {
    this.#isRecord = isRecord;
  }

  async getDocument(name: DocumentName): Promise<LedgerDocument | null> {
    return this.#documents.get(nameOf(name)) ?? null;
  }

  async insertDocument(document: LedgerDocument): Promise<boolean> {
    if (this.#documents.has(nameOf(document))) return false;
    this.#documents.set(nameOf(document), document);
    return true;
  }

  async replaceDocument(document: LedgerDocument, expectedRevision: number): Promise<boolean> {
    if (this.#documents.get(nameOf(document))?.revision !== expectedRevision) return false;
    this.#documents.set(nameOf(document), document);
    return true;
  }

  async putDocument(document: LedgerDocument): Promise<void> {
    this.#documents.set(nameOf(document), document);
  }

  async deleteDocument(name: DocumentName): Promise<boolean> {
    return this.#documents.delete(nameOf(name));
  }

  async listDocuments(kind: DocumentKind, subject: string): Promise<LedgerDocument[]> {
    return [...this.#documents.values()]
      .filter((document) => document.kind === kind && document.subject === subject)
      .sort((a, b) => compareTexts(a.item, b.item));
  }

  async listDueDocuments(kind: DocumentKind, dueAt: string, limit: number): Promise<LedgerDocument[]> {
    return this.#due(kind, dueAt)
      .sort((a, b) => compareTexts(a.dueAt ?? '', b.dueAt ?? '') || compareTexts(a.subject, b.subject))
      .slice(0, limit);
  }

  async deleteDueDocuments(kind: DocumentKind, dueAt: string): Promise<number> {
    const due = this.#due(kind, dueAt);
    for (const document of due) this.#documents.delete(nameOf(document));
    return due.length;
  }

  async getDocumentsOf(kind: DocumentKind, subjects: readonly string[]): Promise<LedgerDocument[]> {
    return subjects.flatMap((subject) => this.#documents.get(nameOf({ kind, subject, item: '' })) ?? []);
  }

  async mergeDocuments(kind: DocumentKind, merges: readonly DocumentMerge[]): Promise<void> {
    const merged = merges
      .filter(({ subject }) => this.#isRecord(subject))
      .map(({ subject, merge }) => {
        const name = { kind, subject, item: '' };
        const known = this.#documents.get(nameOf(name));
        return { ...name, revision: (known?.revision ?? 0) + 1, dueAt: null, body: merge(known?.body ?? null) };
      });
    for (const document of merged) this.#documents.set(nameOf(document), document);
  }

  /** Deletes all of one kind and subject. */
  deleteSubject(kind: DocumentKind, subject: string): void {
    for (const [name, document] of this.#documents) {
      if (document.kind === kind && document.subject === subject) this.#documents.delete(name);
    }
  }

  #due(kind: DocumentKind, dueAt: string): LedgerDocument[] {
    return [...this.#documents.values()].filter(
      (document) => document.kind === kind && document.dueAt !== null && document.dueAt <= dueAt,
    );
  }
}

function nameOf({ kind, subject, item }: DocumentName): string {
  return JSON.stringify([kind, subject, item]);
}
