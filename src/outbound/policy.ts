import { isIP } from 'node:net';
import { z } from 'zod/v4';
import { ConfigurationError } from '../errors.ts';
import { addressKind } from './address.ts';

/** Where requests may go. What an owner typed is trusted more than what a server answered. */
export interface OutboundOptions {
  /**
   * Default true: a host that an owner typed may be anywhere. False, for instances that people share: public addresses
   * over https on port 443 only, but for what is listed here.
   */
  readonly allowPrivateNetworks?: boolean;
  /** Hosts that may be anywhere, as `idp.internal` or `idp.internal:8443`. */
  readonly allowedHosts?: readonly string[];
  /** Ports beside 443 where private networks are denied. */
  readonly allowedPorts?: readonly number[];
}

const optionsSchema = z.strictObject({
  allowPrivateNetworks: z.boolean().default(true),
  allowedHosts: z.array(z.string().regex(/^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i)).default([]),
  allowedPorts: z.array(z.int().min(1).max(65_535)).default([]),
});

/** Names under which clouds hand out credentials. */
const METADATA_NAMES = new Set([
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
]);

export interface Target {
  readonly url: URL;
  /** Whether each address that the name resolves to must be public. */
  readonly publicOnly: boolean;
}

/** Decides where requests may go: before a name is resolved, and for each address that it resolves to. */
export class OutboundPolicy {
  readonly #allowPrivateNetworks: boolean;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #allowedPorts: ReadonlySet<number>;

  /** @throws TypeError for unknown or malformed options */
  constructor(options: OutboundOptions = {}) {
    const result = optionsSchema.safeParse(options);
    if (!result.success) {
      const where = result.error.issues[0]?.path.join('.') ?? '';
      throw new TypeError(`Expected outbound${where === '' ? '' : `.${where}`} to be as OutboundOptions says.`);
    }
    this.#allowPrivateNetworks = result.data.allowPrivateNetworks;
    this.#allowedHosts = new Set(result.data.allowedHosts.map((host) => host.toLowerCase()));
    this.#allowedPorts = new Set(result.data.allowedPorts);
  }

  /**
   * @param learnedFrom Host of the remote document that named the URL; absent when an owner typed it.
   * @throws ConfigurationError `ERR_ENDPOINT_ADDRESS_REFUSED`
   */
  target(text: string, learnedFrom?: string): Target {
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol)) throw refused('The address', 'is no http or https URL');
    if (url.username !== '' || url.password !== '') throw refused(url.host, 'comes with a user or password in its URL');
    const host = hostnameOf(url);
    if (METADATA_NAMES.has(host)) throw refused(url.host, 'is where a cloud hands out credentials');
    const isListed =
      this.#allowedHosts.has(url.host) || this.#allowedHosts.has(url.hostname) || this.#allowedHosts.has(host);
    const isForeign = learnedFrom !== undefined && hostnameOf(new URL(`https://${learnedFrom}`)) !== host;
    if (!this.#allowPrivateNetworks && !isListed) this.#requireStrict(url);
    const publicOnly = !isListed && (isForeign || !this.#allowPrivateNetworks);
    const literal = host.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0) requireAddress(literal, { url, publicOnly });
    return { url, publicOnly };
  }

  #requireStrict(url: URL): void {
    if (url.protocol !== 'https:') throw refused(url.host, 'is not https, which this instance demands');
    if (url.port !== '' && !this.#allowedPorts.has(Number(url.port))) {
      throw refused(url.host, 'has a port that this instance does not allow');
    }
  }
}

/** @throws ConfigurationError `ERR_ENDPOINT_ADDRESS_REFUSED` */
export function requireAddress(address: string, { url, publicOnly }: Target): void {
  const kind = addressKind(address);
  if (kind === 'forbidden') throw refused(url.host, 'is a link-local or cloud-metadata address');
  if (kind === 'private' && publicOnly) throw refused(url.host, 'is an address of a private network');
}

function hostnameOf(url: URL): string {
  return url.hostname.replace(/\.+$/, '');
}

function refused(host: string, why: string): ConfigurationError {
  return new ConfigurationError('ERR_ENDPOINT_ADDRESS_REFUSED', `${host} ${why}; nothing was sent.`);
}
