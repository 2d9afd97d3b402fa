// oidc-provider in a process of its own, with every grant and way of client authentication, over http or https with client
// certificates. It logs in and consents by itself. Driven over IPC: { sequence, verb, args } -> { sequence, value }.
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider from 'oidc-provider';

const { clients, tls, features = {}, ttlSeconds = 60, requireNonce = false } = JSON.parse(process.argv[2]);
const RESOURCE = 'urn:api';
const faults = { denyNext: false, dropAnswers: 0, holdNext: false };
const requests = [];
/** Token requests that are held, each by what lets it go on. */
const held = [];

let listener = (_request, response) => response.end();
const secure = tls && { ...tls, requestCert: true, rejectUnauthorized: false };
const server = secure ? createHttpsServer(secure) : createHttpServer();
server.on('request', (request, response) => listener(request, response));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`;

const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const jwk = { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'sig' };
const certificateOf = (ctx) => {
  const certificate = ctx.req.socket.getPeerCertificate?.(true);
  return certificate?.raw && new X509Certificate(certificate.raw).toString();
};

const provider = new Provider(issuer, {
  jwks: { keys: [jwk] },
  clients,
  cookies: { keys: [randomBytes(16).toString('hex')] },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  scopes: ['openid', 'offline_access', 'api'],
  interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
  rotateRefreshToken: () => true,
  ttl: {
    ...{ AccessToken: ttlSeconds, ClientCredentials: ttlSeconds, RefreshToken: 3600, DeviceCode: 60 },
    ...{ Grant: 3600, Session: 3600, Interaction: 300, IdToken: 300 },
  },
  clientAuthMethods: [
    ...['none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt'],
    ...['tls_client_auth', 'self_signed_tls_client_auth'],
  ],
  enabledJWA: {
    clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'Ed25519'],
    dPoPSigningAlgValues: ['ES256'],
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true, allowedPolicy: () => true },
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (ctx, form) => void (ctx.body = form),
      userCodeConfirmSource: (ctx, form) => void (ctx.body = form),
      successSource: (ctx) => void (ctx.body = 'done'),
    },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => requireNonce },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => false,
      getResourceServerInfo: () => ({
        ...{ scope: 'api', audience: RESOURCE, accessTokenFormat: 'jwt', accessTokenTTL: ttlSeconds },
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
    mTLS: {
      ...{ enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, tlsClientAuth: true },
      getCertificate: certificateOf,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns' &&
        (ctx.req.socket.getPeerCertificate().subjectaltname ?? '').split(', ').includes(`DNS:${expected}`),
    },
    ...features,
  },
});

// Grants that oidc-provider leaves to its host: the check is of the test, the token is of the provider.
async function issue(ctx) {
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope: ctx.oidc.params.scope });
  const accessToken = await token.save();
  ctx.body = { access_token: accessToken, expires_in: token.expiration, token_type: 'Bearer' };
}
function refuse(ctx, error) {
  ctx.status = 400;
  ctx.body = { error };
}
provider.registerGrantType(
  'urn:ietf:params:oauth:grant-type:token-exchange',
  async (ctx) => {
    const subject = await provider.ClientCredentials.find(ctx.oidc.params.subject_token);
    const typed = ctx.oidc.params.subject_token_type === 'urn:ietf:params:oauth:token-type:access_token';
    if (!subject || !typed) return refuse(ctx, 'invalid_grant');
    await issue(ctx);
    ctx.body = { ...ctx.body, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
  },
  [
    'subject_token',
    'subject_token_type',
    'actor_token',
    'actor_token_type',
    'requested_token_type',
    'scope',
    'audience',
  ],
);
const usedAssertions = new Set();
provider.registerGrantType(
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  async (ctx) => {
    const [key] = ctx.oidc.client.jwks?.keys ?? [];
    try {
      const { payload } = await jwtVerify(ctx.oidc.params.assertion, key, { audience: issuer });
      if (usedAssertions.has(payload.jti) || !payload.jti) return refuse(ctx, 'invalid_grant');
      usedAssertions.add(payload.jti);
    } catch {
      return refuse(ctx, 'invalid_grant');
    }
    await issue(ctx);
  },
  ['assertion', 'scope'],
);

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (faults.denyNext) {
    faults.denyNext = false;
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  if (details.prompt.name === 'login')
    return provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
  const { session, params, grantId, prompt } = details;
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes = {} } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries(missingResourceScopes))
    grant.addResourceScope(resource, scopes.join(' '));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

const bodyOf = (ctx) => ctx.oidc?.params ?? {};
provider.use(async (ctx, next) => {
  await next();
  if (!['/token', '/request', '/token/revocation'].includes(ctx.path)) return;
  const { grant_type: grantType, resource, scope } = bodyOf(ctx);
  requests.push({
    ...{ path: ctx.path, grantType: grantType ?? null, resource: resource ?? null, scope: scope ?? null },
    ...{ status: ctx.status, error: ctx.body?.error ?? null, dpop: ctx.get('dpop') !== '' },
    ...{ certificate: certificateOf(ctx) === undefined ? null : hashOf(certificateOf(ctx)) },
  });
  if (ctx.path === '/token' && faults.dropAnswers > 0) {
    faults.dropAnswers -= 1;
    ctx.req.socket.destroy();
  }
});
const answer = provider.callback();
listener = async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  if (pathname.startsWith('/interaction/')) {
    await interact(request, response);
    return;
  }
  if (pathname === '/token' && faults.holdNext) {
    faults.holdNext = false;
    await new Promise((resolve) => held.push(resolve));
  }
  await answer(request, response);
};

function hashOf(pem) {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('base64url');
}

const verbs = {
  set: (changes) => void Object.assign(faults, changes),
  requests: () => requests,
  waiting: () => held.length,
  release: () => {
    for (const goOn of held.splice(0)) goOn();
  },
  /** Whether the server still knows a token, opaque as it is. */
  isActive: async (token) => {
    for (const model of [provider.AccessToken, provider.ClientCredentials, provider.RefreshToken]) {
      const found = await model.find(token);
      if (found) return !found.isExpired && !found.consumed;
    }
    return false;
  },
  /** Ends a refresh token alone, as an administrator would. */
  endRefreshToken: async (token) => {
    await (await provider.RefreshToken.find(token))?.destroy();
  },
  /** What an access token is bound to. */
  binding: async (token) => {
    const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
    return { jkt: found?.jkt ?? null, 'x5t#S256': found?.['x5t#S256'] ?? null };
  },
};
process.on('message', async ({ sequence, verb, args }) => {
  process.send({ sequence, value: (await verbs[verb](...args)) ?? null });
});
process.send({ issuer });
