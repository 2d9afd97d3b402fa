import { BlockList, isIP } from 'node:net';

/**
 * What an address is, whatever its spelling:
 *
 * - `forbidden`: link-local, or where a cloud hands out its instance's credentials: never a target;
 * - `private`: everything else that the public internet does not reach (RFC 6890), and every IPv6 form that carries an IPv4
 *   address, because the network behind it decides where it leads;
 * - `public`: the rest.
 */
export type AddressKind = 'public' | 'private' | 'forbidden';

const FORBIDDEN_V4 = blockList('ipv4', [
  ['169.254.0.0', 16],
  // Azure, Alibaba Cloud, Oracle Cloud.
  ['168.63.129.16', 32],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
]);
const PRIVATE_V4 = blockList('ipv4', [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]);
const FORBIDDEN_V6 = blockList('ipv6', [
  ['fe80::', 10],
  // AWS, Google Cloud, Scaleway.
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
  ['fd00:42::42', 128],
]);
const GLOBAL_V6 = blockList('ipv6', [['2000::', 3]]);
/** Within 2000::/3: protocol assignments with Teredo, documentation, 6to4, documentation. */
const PRIVATE_V6 = blockList('ipv6', [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]);

function blockList(family: 'ipv4' | 'ipv6', ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, family);
  return list;
}

/** @param address An IPv4 or IPv6 address as text. Anything else is `forbidden`: nobody can say what it is. */
export function addressKind(address: string): AddressKind {
  const family = isIP(address);
  if (family === 4) return kindOfV4(address);
  return family === 6 ? kindOfV6(address) : 'forbidden';
}

function kindOfV4(address: string): AddressKind {
  if (FORBIDDEN_V4.check(address, 'ipv4')) return 'forbidden';
  return PRIVATE_V4.check(address, 'ipv4') ? 'private' : 'public';
}

function kindOfV6(text: string): AddressKind {
  const [address = ''] = text.split('%');
  if (FORBIDDEN_V6.check(address, 'ipv6')) return 'forbidden';
  const carried = carriedV4(groupsOf(address));
  if (carried.some((v4) => kindOfV4(v4) === 'forbidden')) return 'forbidden';
  const isGlobal = GLOBAL_V6.check(address, 'ipv6') && !PRIVATE_V6.check(address, 'ipv6');
  return isGlobal && carried.length === 0 ? 'public' : 'private';
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [head = [], tail] = text
    .split('::')
    .map((part) => part.split(':').flatMap((group) => (group === '' ? [] : [Number.parseInt(group, 16)])));
  if (tail === undefined) return head;
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** The IPv4 addresses that an IPv6 address leads to, by the forms that are in use. */
function carriedV4(groups: readonly number[]): string[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groups;
  const last = dotted(g, h);
  const isZeroTo = (count: number): boolean => groups.slice(0, count).every((group) => group === 0);
  // ::a.b.c.d, ::ffff:a.b.c.d (RFC 4291 §2.5.5) and ::ffff:0:a.b.c.d (RFC 2765).
  if (isZeroTo(4) && ((e === 0 && (f === 0 || f === 0xffff)) || (e === 0xffff && f === 0))) return [last];
  // NAT64 (RFC 6052); its local prefix (RFC 8215) in both of the usual lengths.
  if (a === 0x64 && b === 0xff9b) return c === 1 ? [last, dotted(d, ((e & 0xff) << 8) | (f >> 8))] : [last];
  // 6to4 (RFC 3056) and Teredo (RFC 4380), which hides the client's address.
  if (a === 0x2002) return [dotted(b, c)];
  if (a === 0x2001 && b === 0) return [dotted(c, d), dotted(g ^ 0xffff, h ^ 0xffff)];
  // ISATAP (RFC 5214).
  return f === 0x5efe && (e === 0 || e === 0x200) ? [last] : [];
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
