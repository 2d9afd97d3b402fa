// Writes docs/providers.md from the profiles in src/protocols/oauth2/profiles. A test compares the two.
//
//   node scripts/providers-doc.mjs
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const DOCUMENT = path.join(root, 'docs', 'providers.md');
const PROFILES = path.join(root, 'src', 'protocols', 'oauth2', 'profiles');

/**
 * @typedef {{ value: any, source: string }} Fact
 * @typedef {{ member?: string, equals?: string[], description?: string, status?: number, means: string, says?: string, source: string }} ErrorRule
 * @typedef {{ status?: number, bodyPath?: string, equals?: string[], body?: string, source: string }} ExpiredRule
 * @typedef {{ name: string, title: string, endpoints?: Record<string, string>, clientAuthentication?: Fact, rotation?: Fact,
 *   reuseGraceMs?: Fact, accessTokenLifetimeMs?: Fact, grantLifetimeMs?: Fact, refreshTokenIdleMs?: Fact,
 *   quotas?: { requests: number, perMs: number, per: string, source: string }[], errors?: ErrorRule[],
 *   refreshParameters?: Fact, expiredWhen?: ExpiredRule[], companions?: Fact,
 *   refreshTokenNeeds?: { scopes?: string[], authorizationParameters?: Record<string, string>, also?: string, source: string } }} Profile
 */

const UNITS = /** @type {const} */ ([
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1_000],
]);

/** @param {number} ms */
function span(ms) {
  const [name, size] = UNITS.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ['ms', 1];
  const count = ms / size;
  return `${count} ${count === 1 ? name.replace(/s$/, '') : name}`;
}

/** @param {string[]} codes */
const quoted = (codes) => codes.map((code) => `\`${code}\``).join(', ');

/** @type {Record<string, string>} */
const MEANINGS = {
  grantRefused: 'the grant is gone: a person has to sign in',
  clientRefused: 'the client is refused: its owner has to correct it',
  requestRefused: 'the request is refused: its owner has to correct the settings',
  unavailable: 'a passing failure: tried again',
  rateLimited: 'too many requests: tried again later',
};

/** @param {ErrorRule} rule */
function errorFact({ member = 'error', equals, description, status, means, says }) {
  const when = [
    ...(equals ? [`${member === 'error' ? '' : `\`${member}\` `}${quoted(equals)}`] : []),
    ...(description ? [`a description with "${description}"`] : []),
    ...(status ? [`HTTP ${status}`] : []),
  ];
  return `${when.join(' and ')}: ${MEANINGS[means]}${says ? ` (${says})` : ''}`;
}

/** @param {ExpiredRule} rule */
function expiredFact({ status, bodyPath, equals, body }) {
  const when = [
    ...(status ? [`HTTP ${status}`] : []),
    ...(bodyPath && equals ? [`\`${bodyPath}\` is one of ${quoted(equals)}`] : []),
    ...(body ? [`a body with \`${body.replaceAll('|', '\\|')}\``] : []),
  ];
  return `means a token that is not accepted: ${when.join(' and ')}`;
}

/**
 * Fact and source, row by row.
 * @param {Profile} profile
 * @returns {[string, string][]}
 */
function factsOf(profile) {
  const { endpoints, refreshTokenNeeds: needs } = profile;
  /** @type {(what: string, fact: Fact | undefined, say?: (value: any) => string) => [string, string][]} */
  const fact = (what, known, say = String) => (known ? [[`${what}: ${say(known.value)}`, known.source]] : []);
  const named = Object.entries(endpoints ?? {}).filter(([name]) => name !== 'source');
  const asked = needs && [
    ...(needs.scopes?.length ? [`scope ${quoted(needs.scopes).replaceAll(', ', ' or ')}`] : []),
    ...Object.entries(needs.authorizationParameters ?? {}).map(([name, value]) => `\`${name}=${value}\``),
    ...(needs.also ? [needs.also] : []),
  ];
  return [
    ...named.map(([name, url]) => /** @type {[string, string]} */ ([`${name}: ${url}`, endpoints?.['source'] ?? ''])),
    ...fact('client authentication', profile.clientAuthentication),
    ...fact('a refresh replaces the refresh token', profile.rotation),
    ...fact('a replaced refresh token is accepted for', profile.reuseGraceMs, (ms) =>
      ms === 0 ? 'no time' : span(ms),
    ),
    ...fact('life of an access token when the answer is silent', profile.accessTokenLifetimeMs, span),
    ...fact('life of the grant', profile.grantLifetimeMs, span),
    ...fact('a refresh token lapses unused after', profile.refreshTokenIdleMs, span),
    ...(profile.quotas ?? []).map(
      ({ requests, perMs, per, source }) =>
        /** @type {[string, string]} */ ([
          `at most ${requests} token requests in ${span(perMs)} for each ${per}`,
          source,
        ]),
    ),
    ...fact('second tokens in an answer', profile.companions, quoted),
    ...fact('further parameters of a refresh', profile.refreshParameters, JSON.stringify),
    .../** @type {[string, string][]} */ (asked ? [[`a refresh token needs: ${asked.join('; ')}`, needs.source]] : []),
    ...(profile.errors ?? []).map((rule) => /** @type {[string, string]} */ ([errorFact(rule), rule.source])),
    ...(profile.expiredWhen ?? []).map((rule) => /** @type {[string, string]} */ ([expiredFact(rule), rule.source])),
  ];
}

const HEAD = `# Providers

What the engine knows of providers beyond the standards, as data in \`src/protocols/oauth2/profiles\`. A credential takes it by
\`"profile": "google"\` in its settings; what is entered beside it wins. A profile with endpoints needs neither \`issuer\` nor
\`tokenEndpoint\`; where each customer has a server of their own, give the issuer. When a server is named, none of the
profile's endpoints is used. \`generic\` is what holds without a profile.

Each fact has the page that says it. A fact that is not here is not known: leave the setting open, or enter it yourself.
Without any word about its life an access token is refreshed after an hour, or earlier when refusals have taught so.

This page is written by \`node scripts/providers-doc.mjs\`; a test compares the two.
`;

/**
 * The page.
 * @param {readonly Profile[]} profiles
 */
export function providersDocument(profiles) {
  const sections = profiles.map((profile) => {
    const rows = factsOf(profile).map(([what, source]) => `| ${what} | ${source} |`);
    return [`## ${profile.title}: \`${profile.name}\``, '', '| fact | source |', '| --- | --- |', ...rows, ''].join(
      '\n',
    );
  });
  return [HEAD, ...sections].join('\n');
}

/** Every profile as it lies in the sources, the generic one first. */
export function readProfiles() {
  const files = readdirSync(PROFILES).sort((a, b) => Number(b === 'generic.json') - Number(a === 'generic.json'));
  return files.map((file) => /** @type {Profile} */ (JSON.parse(readFileSync(path.join(PROFILES, file), 'utf8'))));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(DOCUMENT, providersDocument(readProfiles()));
