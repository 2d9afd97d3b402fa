import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Fetch, FetchInit, Ports } from '../ports.ts';
import { OutboundPolicy, requireAddress, type OutboundOptions, type Target } from './policy.ts';

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

/** The resolver of the operating system. */
export const systemResolve: Resolve = (hostname) =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => {
      if (error) reject(error);
      else resolve(addresses);
    });
  });

/** The ports with a fetch that keeps to the policy, for everything that asks for URLs: protocols, tests, sinks. */
export function withOutboundPolicy(ports: Ports, options: OutboundOptions | undefined): Ports {
  return { ...ports, fetch: outboundFetch(ports.fetch, new OutboundPolicy(options)) };
}

/**
 * A fetch that judges each URL before it is asked for, and connects to no address but those that it judged: a name is
 * resolved once for each connection, and what a later look-up would say does not matter (DNS rebinding).
 *
 * A fetch that does not understand `lookup` (a host's own) has to look after the addresses of names itself.
 *
 * Errors: `ERR_ENDPOINT_ADDRESS_REFUSED`, before anything is sent.
 */
export function outboundFetch(fetch: Fetch, policy: OutboundPolicy, resolve: Resolve = systemResolve): Fetch {
  // One function for each kind of target: connections are kept by it, and none is shared between the two.
  const anywhere = checkedLookup(resolve, false);
  const publicOnly = checkedLookup(resolve, true);
  const judged = async (url: string, init: FetchInit = {}): Promise<Response> => {
    const { learnedFrom, ...rest } = init;
    const target = policy.target(url, learnedFrom);
    return fetch(url, { ...rest, lookup: target.publicOnly ? publicOnly : anywhere });
  };
  return Object.assign(judged, { connectsFirst: fetch.connectsFirst ?? false });
}

/** A look-up for sockets that gives addresses only when each of them may be connected to. */
export function checkedLookup(resolve: Resolve, publicOnly: boolean): LookupFunction {
  return (hostname, options, callback) => {
    const target: Target = { url: new URL('https://host'), publicOnly };
    target.url.hostname = hostname;
    resolve(hostname).then(
      (found) => {
        const addresses = found.filter(({ family }) => familyFits(family, options.family));
        try {
          for (const { address } of found) requireAddress(address, target);
        } catch (error) {
          callback(asError(error), '', 0);
          return;
        }
        const [first] = addresses;
        if (first === undefined) callback(Object.assign(new Error('No address.'), { code: 'ENOTFOUND' }), '', 0);
        else if (options.all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: unknown) => {
        callback(asError(error), '', 0);
      },
    );
  };
}

function familyFits(family: number, wanted: number | string | undefined): boolean {
  return wanted === undefined || wanted === 0 || Number(String(wanted).replace('IPv', '')) === family;
}

function asError(error: unknown): NodeJS.ErrnoException {
  return Error.isError(error) ? error : new Error('The look-up failed.');
}
