import { OutboundPolicy, type OutboundOptions } from '../../src/outbound/policy.ts';
import { codeOf } from '../support/codes.ts';

function judge(url: string, options: OutboundOptions = {}, learnedFrom?: string): string {
  let verdict = '';
  const code = codeOf(() => {
    const { publicOnly } = new OutboundPolicy(options).target(url, learnedFrom);
    verdict = publicOnly ? 'public addresses' : 'any address';
  });
  return code === 'none' ? verdict : code;
}

const REFUSED = 'ERR_ENDPOINT_ADDRESS_REFUSED';
const METADATA_SPELLINGS = [
  'http://169.254.169.254/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://0251.0376.0251.0376/',
  'http://0xa9.0xfe.0xa9.0xfe/',
  'http://169.254.43518/',
  'http://169.16689662/',
  'http://169.254.169.254./',
  'http://１６９.２５４.１６９.２５４/',
  'http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[::169.254.169.254]/',
  'http://[64:ff9b::169.254.169.254]/',
  'http://[64:ff9b:1::169.254.169.254]/',
  'http://[2002:a9fe:a9fe::]/',
  'http://[fe80::1]/',
  'http://[fd00:ec2::254]/',
  'http://168.63.129.16/',
  'http://metadata.google.internal/',
  'http://METADATA.google.internal./computeMetadata/v1/',
  'http://metadata.goog/',
];

it.each(METADATA_SPELLINGS)('refuses %s wherever it comes from, and although it is listed', (url) => {
  expect(judge(url)).toBe(REFUSED);
  expect(judge(url, { allowedHosts: [new URL(url).host] })).toBe(REFUSED);
  expect(judge(url, {}, 'idp.example')).toBe(REFUSED);
});

const LOOPBACK_SPELLINGS = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0177.0.0.1/',
  'https://017700000001/',
  'https://0/',
  'https://127.0.0.1./',
  'https://１２７.０.０.１/',
  'https://[::1]/',
  'https://[::]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::127.0.0.1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[64:ff9b::127.0.0.1]/',
  'https://[2002:7f00:1::]/',
  'https://10.0.0.1/',
  'https://192.168.0.1/',
  'https://172.20.0.1/',
  'https://100.64.0.1/',
  'https://[fd00::1]/',
  'https://[fec0::1]/',
  'https://[100::1]/',
];

it.each(LOOPBACK_SPELLINGS)('takes %s from its owner, and from nobody else', (url) => {
  expect(judge(url)).toBe('any address');
  expect(judge(url, {}, new URL(url).host)).toBe('any address');
  expect(judge(url, {}, 'idp.example')).toBe(REFUSED);
  expect(judge(url, { allowPrivateNetworks: false })).toBe(REFUSED);
  const allowedHosts = [new URL(url).host];
  expect(judge(url, { allowPrivateNetworks: false, allowedHosts }, 'idp.example')).toBe('any address');
});

it.each<[string, string, string, OutboundOptions, string | undefined]>([
  ['a name that an owner typed', 'https://idp.internal/', 'any address', {}, undefined],
  ['a name of the host that named it', 'https://idp.example:8443/token', 'any address', {}, 'idp.example'],
  ['the same host with its dot', 'https://idp.example./token', 'any address', {}, 'idp.example'],
  ['a name of another host', 'https://elsewhere.example/', 'public addresses', {}, 'idp.example'],
  ['a host below the one that named it', 'https://a.idp.example/', 'public addresses', {}, 'idp.example'],
  [
    'a listed host',
    'https://elsewhere.example/',
    'any address',
    { allowedHosts: ['elsewhere.example'] },
    'idp.example',
  ],
  [
    'a listed host at a port',
    'https://idp.internal:8443/',
    'any address',
    { allowPrivateNetworks: false, allowedHosts: ['IDP.internal:8443'] },
    undefined,
  ],
  [
    'a listed host at another port',
    'https://idp.internal:9443/',
    REFUSED,
    { allowPrivateNetworks: false, allowedHosts: ['idp.internal:8443'] },
    undefined,
  ],
  [
    'a typed name where private networks are denied',
    'https://idp.example/',
    'public addresses',
    { allowPrivateNetworks: false },
    undefined,
  ],
  [
    'http where private networks are denied',
    'http://idp.example/',
    REFUSED,
    { allowPrivateNetworks: false },
    undefined,
  ],
  [
    'a port where private networks are denied',
    'https://idp.example:6379/',
    REFUSED,
    { allowPrivateNetworks: false },
    undefined,
  ],
  [
    'an allowed port',
    'https://idp.example:8443/',
    'public addresses',
    { allowPrivateNetworks: false, allowedPorts: [8443] },
    undefined,
  ],
  ['a password in the URL', 'https://user:hunter2@idp.example/', REFUSED, {}, undefined],
  ['a user in the URL', 'https://user@idp.example/', REFUSED, {}, undefined],
  ['a file', 'file:///etc/passwd', REFUSED, {}, undefined],
  ['no URL', 'idp.example', REFUSED, {}, undefined],
])('judges %s', (_sentence, url, expected, options, learnedFrom) => {
  expect(judge(url, options, learnedFrom)).toBe(expected);
});

it.each<[string, unknown]>([
  ['the text "false"', { allowPrivateNetworks: 'false' }],
  ['a member that it does not know', { allowPrivateNetwork: false }],
  ['a URL as a host', { allowedHosts: ['https://idp.internal/'] }],
  ['a port of zero', { allowedPorts: [0] }],
])('refuses options with %s', (_sentence, options) => {
  expect(() => new OutboundPolicy(options as OutboundOptions)).toThrow(TypeError);
});
