import { z } from 'zod/v4';
import { StorageError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { CredentialId } from '../lifecycle/credential.ts';
import type {
  DeliveryState,
  EndpointState,
  FollowerState,
  LedgerStore,
  NoticeEpisode,
  PendingRevocation,
  StoredTest,
  StoredWebhook,
  CountedUses,
  CredentialUsage,
} from './ledger.ts';
import { encodeUsage, mergedUsage, parseUsage } from './usage-document.ts';
import { compareTexts, instantText, requireId, requireText, TEXT_LIMITS } from './texts.ts';

export type DocumentKind =
  'consumed' | 'delivery' | 'endpoint' | 'follower' | 'notice' | 'revocation' | 'test' | 'usage' | 'webhook';

/** One small document of the ledger. `revision` counts its writes. */
export interface LedgerDocument {
  readonly kind: DocumentKind;
  /** First part of the name: what a kind is listed by, mostly a credential. */
  readonly subject: string;
  /** Second part of the name; empty where the subject is enough. */
  readonly item: string;
  readonly revision: number;
  /** ISO 8601; `null` for never. */
  readonly dueAt: string | null;
  /** JSON. */
  readonly body: string;
}

export type DocumentName = Pick<LedgerDocument, 'kind' | 'subject' | 'item'>;

/** All that a driver has to bring for the ledger: one table, named by (kind, subject, item) and indexed by (kind, due). */
export interface DocumentTable {
  getDocument(name: DocumentName): Promise<LedgerDocument | null>;
  /** Writes if there is none with this name. */
  insertDocument(document: LedgerDocument): Promise<boolean>;
  /** Writes if the one with this name has `expectedRevision`. */
  replaceDocument(document: LedgerDocument, expectedRevision: number): Promise<boolean>;
  /** Writes in any case. */
  putDocument(document: LedgerDocument): Promise<void>;
  deleteDocument(name: DocumentName): Promise<boolean>;
  /** By item. */
  listDocuments(kind: DocumentKind, subject: string): Promise<LedgerDocument[]>;
  /** With `dueAt` at or before `dueAt`, the earliest first; then by name. */
  listDueDocuments(kind: DocumentKind, dueAt: string, limit: number): Promise<LedgerDocument[]>;
  /** Deletes those with `dueAt` at or before `dueAt`. */
  deleteDueDocuments(kind: DocumentKind, dueAt: string): Promise<number>;
  /** Those with no item of these subjects, in any order. */
  getDocumentsOf(kind: DocumentKind, subjects: readonly string[]): Promise<LedgerDocument[]>;
  /**
   * Writes what each merge makes of the body that is there (`null` for none), all in one transaction. Merges whose subject is
   * no record are left out.
   */
  mergeDocuments(kind: DocumentKind, merges: readonly DocumentMerge[]): Promise<void>;
}

/** A change of the document with no item of a subject. */
export interface DocumentMerge {
  readonly subject: string;
  readonly merge: (body: string | null) => string;
}

/** The ledger over a driver's table of documents: names, instants and codecs are the same for every driver. */
export abstract class DocumentLedger implements LedgerStore {
  protected abstract readonly documents: DocumentTable;

  async getEndpointState(endpoint: string): Promise<EndpointState | null> {
    const found = await this.documents.getDocument({ kind: 'endpoint', subject: endpoint, item: '' });
    return found && parseBody(endpointSchema, found.body);
  }

  async compareAndSetEndpointState(state: EndpointState, expectedRevision: number): Promise<boolean> {
    if (state.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    requireId('endpoint', state.endpoint, TEXT_LIMITS.key);
    const document = documentOf({ kind: 'endpoint', subject: state.endpoint, item: '' }, state, state.revision);
    if (expectedRevision === 0) return this.documents.insertDocument(document);
    return this.documents.replaceDocument(document, expectedRevision);
  }

  async consumeOnce(key: string, until: Date): Promise<boolean> {
    requireId('key', key, TEXT_LIMITS.key);
    const name = { kind: 'consumed', subject: key, item: '' } as const;
    return this.documents.insertDocument({ ...name, revision: 1, dueAt: instantText('until', until), body: '{}' });
  }

  async forgetConsumed(now: Date): Promise<number> {
    return this.documents.deleteDueDocuments('consumed', instantText('now', now));
  }

  async putPendingRevocation(revocation: PendingRevocation): Promise<void> {
    requireId('revocationId', revocation.revocationId);
    const name = { kind: 'revocation', subject: revocation.revocationId, item: '' } as const;
    const dueAt = instantText('dueAt', revocation.dueAt);
    await this.documents.putDocument({ ...documentOf(name, revocation), dueAt });
  }

  async listPendingRevocations(options: { now: Date; limit: number }): Promise<readonly PendingRevocation[]> {
    const now = instantText('now', options.now);
    const found = await this.documents.listDueDocuments('revocation', now, options.limit);
    return found.map(({ body }) => parseBody(revocationSchema, body));
  }

  async removePendingRevocation(revocationId: string): Promise<void> {
    await this.documents.deleteDocument({ kind: 'revocation', subject: revocationId, item: '' });
  }

  async openNotice(episode: NoticeEpisode): Promise<boolean> {
    requireId('credentialId', episode.credentialId);
    requireText('kind', episode.kind, TEXT_LIMITS.protocol);
    const name = { kind: 'notice', subject: episode.credentialId, item: episode.kind } as const;
    return this.documents.insertDocument(documentOf(name, episode));
  }

  async closeNotice(credentialId: CredentialId, kind: string): Promise<boolean> {
    return this.documents.deleteDocument({ kind: 'notice', subject: credentialId, item: kind });
  }

  async listNotices(credentialId: CredentialId): Promise<readonly NoticeEpisode[]> {
    const found = await this.documents.listDocuments('notice', credentialId);
    return found.map(({ body }) => parseBody(noticeSchema, body));
  }

  async putTest(test: StoredTest): Promise<void> {
    requireId('credentialId', test.credentialId);
    await this.documents.putDocument(documentOf({ kind: 'test', subject: test.credentialId, item: '' }, test));
  }

  async getTest(credentialId: CredentialId): Promise<StoredTest | null> {
    const found = await this.documents.getDocument({ kind: 'test', subject: credentialId, item: '' });
    return found && parseBody(testSchema, found.body);
  }

  async addUses(counted: readonly CountedUses[]): Promise<void> {
    // In one order everywhere, so that two processes never wait for each other.
    const ordered = [...counted].sort((a, b) => compareTexts(a.credentialId, b.credentialId));
    const merges = ordered.map((uses) => ({
      subject: uses.credentialId,
      merge: (body: string | null) =>
        encodeUsage(mergedUsage(body === null ? null : parseUsage(parseJson(body)), uses)),
    }));
    await this.documents.mergeDocuments('usage', merges);
  }

  async getUsage(credentialIds: readonly CredentialId[]): Promise<readonly CredentialUsage[]> {
    const found = await this.documents.getDocumentsOf('usage', credentialIds);
    return found.flatMap(({ body }) => parseUsage(parseJson(body)) ?? []);
  }

  async putWebhook(webhook: StoredWebhook): Promise<void> {
    requireId('webhookId', webhook.webhookId);
    await this.documents.putDocument(documentOf(webhookName(webhook.webhookId), webhook));
  }

  async getWebhook(webhookId: string): Promise<StoredWebhook | null> {
    const found = await this.documents.getDocument(webhookName(webhookId));
    return found && parseBody(webhookSchema, found.body);
  }

  async listWebhooks(): Promise<readonly StoredWebhook[]> {
    const found = await this.documents.listDocuments('webhook', ALL_WEBHOOKS);
    return found.map(({ body }) => parseBody(webhookSchema, body));
  }

  async removeWebhook(webhookId: string): Promise<boolean> {
    const removed = await this.documents.deleteDocument(webhookName(webhookId));
    await this.documents.deleteDocument({ kind: 'delivery', subject: webhookId, item: '' });
    return removed;
  }

  async getDelivery(webhookId: string): Promise<DeliveryState | null> {
    const found = await this.documents.getDocument({ kind: 'delivery', subject: webhookId, item: '' });
    return found && parseBody(deliverySchema, found.body);
  }

  async compareAndSetDelivery(state: DeliveryState, expectedRevision: number): Promise<boolean> {
    if (state.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    requireId('webhookId', state.webhookId);
    const document = documentOf({ kind: 'delivery', subject: state.webhookId, item: '' }, state, state.revision);
    if (expectedRevision === 0) return this.documents.insertDocument(document);
    return this.documents.replaceDocument(document, expectedRevision);
  }

  async getFollower(followerId: string): Promise<FollowerState | null> {
    const found = await this.documents.getDocument({ kind: 'follower', subject: followerId, item: '' });
    return found && parseBody(followerSchema, found.body);
  }

  async compareAndSetFollower(state: FollowerState, expectedRevision: number): Promise<boolean> {
    if (state.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    requireId('followerId', state.followerId, TEXT_LIMITS.key);
    const name = { kind: 'follower', subject: state.followerId, item: '' } as const;
    const document = { ...documentOf(name, state, state.revision), dueAt: instantText('forgetAt', state.forgetAt) };
    if (expectedRevision === 0) return this.documents.insertDocument(document);
    return this.documents.replaceDocument(document, expectedRevision);
  }

  async forgetFollowers(now: Date): Promise<number> {
    return this.documents.deleteDueDocuments('follower', instantText('now', now));
  }
}

/** The kinds that belong to a credential and go with its record. A pending revocation stays: it is a debt to the other side. */
export const KINDS_OF_A_CREDENTIAL = ['notice', 'test', 'usage'] as const satisfies readonly DocumentKind[];

/** All webhooks have one subject: they are few, and listed together. */
const ALL_WEBHOOKS = 'webhooks';

function webhookName(webhookId: string): DocumentName {
  return { kind: 'webhook', subject: ALL_WEBHOOKS, item: webhookId };
}

function documentOf(name: DocumentName, body: object, revision = 1): LedgerDocument {
  return { ...name, revision, dueAt: null, body: JSON.stringify(body) };
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const json = z.custom<JsonObject>(isJsonObject);
const endpointSchema = z.strictObject({
  endpoint: z.string(),
  revision: z.int().positive(),
  retryAfterAt: instant.nullable(),
  breaker: json.nullable(),
  budget: json.nullable(),
  updatedAt: instant,
});
const revocationSchema = z.strictObject({
  revocationId: z.string(),
  credentialId: z.string(),
  value: z
    .strictObject({
      field: z.enum(['registered', 'grant', 'authorization']),
      generation: z.int().nonnegative(),
      attemptId: z.string(),
    })
    .nullable(),
  tries: z.int().nonnegative(),
  dueAt: instant,
  createdAt: instant,
});
const noticeSchema = z.strictObject({
  credentialId: z.string(),
  kind: z.string(),
  eventId: z.string(),
  openedAt: instant,
});
const testSchema = z.strictObject({
  credentialId: z.string(),
  generation: z.int().nonnegative(),
  configVersion: z.string(),
  result: z.strictObject({
    success: z.boolean(),
    message: z.string(),
    details: z.strictObject({
      latencyMs: z.number(),
      endpoint: z.string(),
      permissionsVerified: z.array(z.string()),
      metadata: z.custom<Record<string, string>>(isTexts),
    }),
    testedAt: instant,
    inconclusive: z.literal(true).optional(),
  }),
});

const webhookSchema = z.strictObject({
  webhookId: z.string(),
  url: z.string(),
  types: z.array(z.string()),
  ownerId: z.string().nullable(),
  allowInsecureTransport: z.boolean(),
  keyGeneration: z.int().positive(),
  previousKeyUntil: instant.nullable(),
  createdAt: instant,
});
const deliverySchema = z.strictObject({
  webhookId: z.string(),
  revision: z.int().positive(),
  cursor: z.int().nonnegative(),
  tries: z.int().nonnegative(),
  retryNotBefore: instant.nullable(),
  delivered: z.int().nonnegative(),
  leftOut: z.int().nonnegative(),
  missed: z.int().nonnegative(),
  lastDeliveredAt: instant.nullable(),
  failure: z.string().nullable(),
});

const followerSchema = z.strictObject({
  followerId: z.string(),
  revision: z.int().positive(),
  cursor: z.int().nonnegative(),
  ahead: z.array(z.string()),
  prunedThrough: z.int().nonnegative(),
  missed: z.boolean(),
  forgetAt: instant,
});

function isTexts(value: unknown): boolean {
  return isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string');
}

/** @throws StorageError `ERR_STORE_RECORD_INVALID` */
function parseBody<T>(schema: z.ZodType<T>, body: string): T {
  const result = schema.safeParse(parseJson(body));
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? 'document';
  throw new StorageError('ERR_STORE_RECORD_INVALID', `A stored ledger entry is not valid at "${where}".`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StorageError('ERR_STORE_RECORD_INVALID', 'A stored ledger entry is not JSON.');
  }
}
