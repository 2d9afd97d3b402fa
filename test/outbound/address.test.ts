import fc from 'fast-check';
import { addressKind, type AddressKind } from '../../src/outbound/address.ts';

it.each<[AddressKind, readonly string[]]>([
  [
    'public',
    ['8.8.8.8', '1.1.1.1', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0', '223.255.255.255'],
  ],
  ['public', ['2606:4700:4700::1111', '2a00:1450:4001:80e::200e', '2001:4860:4860::8888', '2003::1', '2620:fe::fe']],
  ['private', ['127.0.0.1', '127.255.255.254', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1']],
  ['private', ['100.64.0.1', '192.0.0.1', '192.0.2.1', '192.88.99.1', '198.18.0.1', '198.51.100.1', '203.0.113.1']],
  ['private', ['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255']],
  ['private', ['::', '::1', 'fc00::1', 'fd12:3456::1', 'ff02::1', 'fec0::1', '100::1', '2001:db8::1', '3fff::1']],
  ['private', ['::127.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::ffff:0:8.8.8.8']],
  ['private', ['64:ff9b::8.8.8.8', '64:ff9b:1::8.8.8.8', '2002:0808:0808::1', '2001:0:808:808::1', '2001:2::1']],
  ['private', ['2a00::5efe:8.8.8.8']],
  ['forbidden', ['169.254.169.254', '169.254.0.1', '169.254.170.2', '168.63.129.16', '100.100.100.200', '192.0.0.192']],
  ['forbidden', ['fe80::1', 'fe80::1%eth0', 'febf::1', 'fd00:ec2::254', 'fd20:ce::254', 'fd00:42::42']],
  ['forbidden', ['::169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::ffff:0:169.254.169.254']],
  [
    'forbidden',
    ['64:ff9b::169.254.169.254', '64:ff9b::a9fe:a9fe', '64:ff9b:1::169.254.169.254', '64:ff9b:1:a9fe:a9:fe00::'],
  ],
  ['forbidden', ['2002:a9fe:a9fe::1', '2001:0:1:1:0:0:5601:5601', '2001:0:a9fe:a9fe::1', '2a00::5efe:169.254.169.254']],
  ['forbidden', ['', 'localhost', '256.1.1.1', '0x7f.1', '127.1', '::g', '1:2:3']],
])('takes for %s: %p', (kind, addresses) => {
  expect(addresses.map((address) => [address, addressKind(address)])).toEqual(
    addresses.map((address) => [address, kind]),
  );
});

it('gives each address one kind, however its zeros are written', () => {
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (numbers) => {
      const long = numbers.map((group) => group.toString(16).padStart(4, '0')).join(':');
      const short = new URL(`http://[${long}]`).hostname.slice(1, -1);
      expect(addressKind(short)).toBe(addressKind(long));
    }),
  );
});

it('never calls an IPv6 form of an address public that is not', () => {
  fc.assert(
    fc.property(
      fc.ipV4(),
      fc.constantFrom('::', '::ffff:', '64:ff9b::', '64:ff9b:1::', '2a00::5efe:'),
      (v4, prefix) => {
        const kind = addressKind(`${prefix}${v4}`);
        expect(kind).toBe(addressKind(v4) === 'forbidden' ? 'forbidden' : 'private');
      },
    ),
  );
});
