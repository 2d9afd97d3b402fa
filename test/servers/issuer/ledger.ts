import { randomBytes } from 'node:crypto';
import type { Family, IssuerClient, Minted, Verdict } from './contract.ts';

interface RefreshToken {
  readonly tokenId: string;
  readonly family: OpenFamily;
  readonly parent: RefreshToken | null;
  uses: number;
  firstUsedMs: number | null;
  /** A token that came out of this one was presented. */
  successorWasUsed: boolean;
  answer: Answer | null;
}

interface OpenFamily {
  readonly familyId: string;
  readonly clientId: string;
  tokens: number;
  endedAt: Date | null;
}

export interface Answer {
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface Presented {
  readonly verdict: Verdict;
  readonly familyId: string | null;
  readonly tokenId: string | null;
  readonly use: number;
  readonly sinceFirstUseMs: number | null;
  readonly successorWasUsed: boolean;
  readonly answer: Answer | null;
}

/** The families of refresh tokens, and the rules of RFC 9700 §4.14.2: each token once, and theft ends the family. */
export class TokenLedger {
  readonly #tokens = new Map<string, RefreshToken>();
  readonly #families = new Map<string, OpenFamily>();
  #issued = 0;

  /** A new consent: the first refresh token of a new family. */
  mint(clientId: string): Minted {
    const familyId = `family-${String(this.#families.size + 1)}`;
    const family: OpenFamily = { familyId, clientId, tokens: 0, endedAt: null };
    this.#families.set(familyId, family);
    return { familyId, refreshToken: this.#issue(family, null) };
  }

  /** Ends a family, as the owner of the consent would. */
  end(familyId: string, at: Date): void {
    const family = this.#families.get(familyId);
    if (family) family.endedAt ??= at;
  }

  /** Whose token it is, without counting: for requests that are turned away. */
  find(text: string, client: IssuerClient): Pick<Presented, 'familyId' | 'tokenId'> {
    const token = this.#tokens.get(text);
    if (token?.family.clientId !== client.clientId) return { familyId: null, tokenId: null };
    return { familyId: token.family.familyId, tokenId: token.tokenId };
  }

  /** One use of a refresh token, counted and judged. */
  present(text: string, client: IssuerClient, at: Date): Presented {
    const token = this.#tokens.get(text);
    if (token?.family.clientId !== client.clientId) return UNKNOWN;
    const { successorWasUsed, tokenId } = token;
    const sinceFirstUseMs = token.firstUsedMs === null ? null : at.getTime() - token.firstUsedMs;
    token.uses += 1;
    const facts = { familyId: token.family.familyId, tokenId, use: token.uses, sinceFirstUseMs, successorWasUsed };
    if (token.parent) token.parent.successorWasUsed = true;
    if (token.family.endedAt !== null) return { ...facts, verdict: 'familyEnded', answer: null };
    if (sinceFirstUseMs === null) {
      token.firstUsedMs = at.getTime();
      token.answer = this.#answer(token);
      return { ...facts, verdict: 'rotated', answer: token.answer };
    }
    if (sinceFirstUseMs > client.reuseGraceMs || client.reuseGraceMs === 0) {
      token.family.endedAt = at;
      return { ...facts, verdict: 'reuseDetected', answer: null };
    }
    const again = client.reuseAnswer === 'same' ? token.answer : this.#answer(token);
    return { ...facts, verdict: 'reanswered', answer: again };
  }

  families(): Family[] {
    return [...this.#families.values()].map((family) => ({
      ...family,
      endedAt: family.endedAt?.toISOString() ?? null,
    }));
  }

  #answer(parent: RefreshToken): Answer {
    return {
      accessToken: `at_${randomBytes(24).toString('base64url')}`,
      refreshToken: this.#issue(parent.family, parent),
    };
  }

  #issue(family: OpenFamily, parent: RefreshToken | null): string {
    this.#issued += 1;
    family.tokens += 1;
    const text = `rt_${randomBytes(24).toString('base64url')}`;
    const tokenId = `token-${String(this.#issued)}`;
    const unused = { uses: 0, firstUsedMs: null, successorWasUsed: false, answer: null };
    this.#tokens.set(text, { tokenId, family, parent, ...unused });
    return text;
  }
}

const UNKNOWN: Presented = {
  verdict: 'unknownToken',
  familyId: null,
  tokenId: null,
  use: 0,
  sinceFirstUseMs: null,
  successorWasUsed: false,
  answer: null,
};
