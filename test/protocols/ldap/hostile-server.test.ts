import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeElement } from '../../../src/protocols/ldap/ber.ts';
import { RECEIVE_BOUNDS } from '../../../src/protocols/ldap/guarded-socket.ts';
import type { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import { CertificateAuthority, type KeyPair } from '../../servers/certificate-authority.ts';
import {
  entry,
  FakeLdapServer,
  OPERATIONS,
  reference,
  referral,
  result,
  type Script,
} from '../../servers/fake-ldap.ts';
import { TestClock } from '../../support/clock.ts';
import { rejectedCode } from '../../support/codes.ts';
import { eventually } from '../../support/eventually.ts';
import { directoryOf, inputOf, noop, withDriver, type Entered } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'credlife-test-'));
let authority: CertificateAuthority;
let good: KeyPair;

beforeAll(() => {
  authority = new CertificateAuthority(folder);
  good = authority.issue('/CN=localhost', { names: 'DNS:localhost' });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function against<T>(
  script: Script,
  task: (server: FakeLdapServer, driver: LdapDriver) => Promise<T>,
): Promise<T> {
  const server = await FakeLdapServer.start(script);
  try {
    return await withDriver((driver) => task(server, driver));
  } finally {
    await server.stop();
  }
}

function entered(server: FakeLdapServer, config: object = {}): Entered {
  return {
    config: {
      url: server.url,
      ca: authority.certificate,
      baseDn: 'dc=example,dc=test',
      bindDn: 'cn=service,dc=example,dc=test',
      ...config,
    },
    secret: { password: 'hunter2-password' },
  };
}

const PLAIN = { allowInsecureTransport: true, ca: undefined };

describe('L3: a bind that would be nobody’s', () => {
  it.each([
    ['an empty password', { password: '' }],
    ['a blank password', { password: ' \t\u00a0' }],
    ['no password', {}],
  ])('is refused when it is registered, for %s', async (_what, secret) => {
    await against({}, async (server, driver) => {
      const { config } = entered(server);
      const parsed = driver.parseConfig(config);
      expect(() => driver.parseSecret(secret, parsed)).toThrow(/secret\.password/);
      expect(server.connections).toBe(0);
    });
  });

  it.each(['', ' ', '\t', '\u3000'])(
    'is refused for a user with the password %j, before the wire',
    async (password) => {
      await against({}, async (server, driver) => {
        const directory = directoryOf(driver, entered(server, PLAIN));
        expect(await directory.authenticate('jane', password)).toMatchObject({ reason: 'emptyPassword' });
        expect(server.connections).toBe(0);
      });
    },
  );

  it.each(['', '  ', 'a\nb', 'x'.repeat(300)])('is refused for the user name %j, before the wire', async (username) => {
    await against({}, async (server, driver) => {
      const directory = directoryOf(driver, entered(server, PLAIN));
      expect(await directory.authenticate(username, 'password')).toMatchObject({ reason: 'malformedUsername' });
      expect(server.connections).toBe(0);
    });
  });
});

describe('L4: a referral', () => {
  it('is not followed when it answers a bind or a search, and its target sees no connection', async () => {
    await against({}, async (attacker, driver) => {
      const away = referral(`ldap://localhost:${String(attacker.port)}/dc=example,dc=test`);
      for (const operation of [OPERATIONS.bind, OPERATIONS.search]) {
        const tag = operation === OPERATIONS.bind ? 0x61 : 0x65;
        const script: Script = {
          answer: (pdu) => (pdu.operation === operation ? result(pdu.id, tag, 10, '', away) : undefined),
        };
        await against(script, async (server) => {
          const entry = entered(server, PLAIN);
          expect(await rejectedCode(directoryOf(driver, entry).search({}))).toBe('ERR_LDAP_REFERRAL');
        });
      }
      expect(attacker.connections).toBe(0);
    });
  });

  it('inside a search is told and not followed', async () => {
    await against({}, async (attacker, driver) => {
      const away = `ldap://localhost:${String(attacker.port)}/dc=example,dc=test`;
      const answer: Script['answer'] = ({ id, operation }) =>
        operation === OPERATIONS.search
          ? Buffer.concat([entry(id, 'cn=found'), reference(id, away), result(id, 0x65, 0)])
          : undefined;
      await against({ answer }, async (server) => {
        const found = await directoryOf(driver, entered(server, PLAIN)).search({});
        expect(found).toMatchObject({ entries: [{ dn: 'cn=found' }], references: [away] });
      });
      expect(attacker.connections).toBe(0);
    });
  });
});

describe('L5: StartTLS', () => {
  const slip = (after: Buffer) => (socket: Socket, id: number) => {
    socket.write(Buffer.concat([result(id, 0x78, 0), after]));
  };
  it.each<[string, Script, string]>([
    ['that the server refuses', {}, 'ERR_LDAP_TLS_FAILED'],
    [
      'that somebody in between answers with "unavailable"',
      { onStartTls: (socket, id) => socket.write(result(id, 0x78, 52)) },
      'ERR_LDAP_TLS_FAILED',
    ],
    ['with an answer slipped in behind it', { onStartTls: slip(result(2, 0x61, 0)) }, 'ERR_LDAP_TLS_FAILED'],
    [
      'with half an answer slipped in behind it',
      { onStartTls: slip(result(2, 0x61, 0).subarray(0, 5)) },
      'ERR_LDAP_TLS_FAILED',
    ],
    [
      'answered by the answer to a bind',
      { onStartTls: (socket, id) => socket.write(result(id, 0x61, 0)) },
      'ERR_LDAP_TLS_FAILED',
    ],
    [
      'answered by noise',
      { onStartTls: (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n') },
      'ERR_LDAP_RESPONSE_INVALID',
    ],
    ['answered by a close', { onStartTls: (socket) => socket.destroy() }, 'ERR_ENDPOINT_CONNECTION_LOST'],
    [
      'accepted, and then no TLS',
      {
        onStartTls: (socket, id) =>
          socket.write(result(id, 0x78, 0), () => setImmediate(() => socket.write(result(2, 0x61, 0)))),
      },
      'ERR_LDAP_TLS_FAILED',
    ],
  ])('%s sends no password', async (_how, script, code) => {
    await against(script, async (server, driver) => {
      expect(await rejectedCode(driver.refresh(inputOf(driver, entered(server)), noop))).toBe(code);
      expect(server.connections).toBe(1);
      expect(server.binds).toBe(0);
      // One request went out, and it was StartTLS.
      expect(server.pdus.map(({ operation }) => operation)).toEqual([OPERATIONS.extended]);
    });
  });

  it('comes before the bind, on every connection', async () => {
    await against({ startTls: good }, async (server, driver) => {
      await driver.refresh(inputOf(driver, entered(server)), noop);
      server.dropAll();
      await directoryOf(driver, entered(server)).search({});
      for (const connection of [1, 2]) {
        const [first, second] = server.pdus.filter((pdu) => pdu.connection === connection);
        expect([first?.operation, second?.operation]).toEqual([OPERATIONS.extended, OPERATIONS.bind]);
      }
    });
  });
});

describe('L6: a certificate', () => {
  const bad: [string, () => KeyPair][] = [
    ['of another host', () => authority.issue('/CN=other.test', { names: 'DNS:other.test' })],
    ['that has expired', () => authority.issue('/CN=localhost', { names: 'DNS:localhost', days: -1 })],
    ['with the name only as common name', () => authority.issue('/CN=localhost')],
    [
      'with another kind of alternative name',
      () => authority.issue('/CN=localhost', { names: 'email:a@localhost.test' }),
    ],
    [
      'of an authority that nobody knows',
      () =>
        new CertificateAuthority(mkdtempSync(join(folder, 'other-'))).issue('/CN=localhost', {
          names: 'DNS:localhost',
        }),
    ],
  ];
  it.each(bad)('%s is refused over ldaps and StartTLS, with no password sent', async (_what, issue) => {
    const pair = issue();
    for (const script of [{ ldaps: pair }, { startTls: pair }]) {
      await against(script, async (server, driver) => {
        const code = await rejectedCode(driver.refresh(inputOf(driver, entered(server)), noop));
        expect(code).toBe('ERR_LDAP_TLS_FAILED');
        expect(server.binds).toBe(0);
      });
    }
  });

  it('of the host is accepted over both', async () => {
    for (const script of [{ ldaps: good }, { startTls: good }]) {
      await against(script, async (server, driver) => {
        expect(await rejectedCode(driver.refresh(inputOf(driver, entered(server)), noop))).toBe('none');
        expect(server.binds).toBe(1);
      });
    }
  });
});

describe('L7: codes of Active Directory', () => {
  const text = (code: string): string =>
    `80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data ${code}, v3839`;
  it.each([
    ['525', 'ERR_LDAP_INVALID_CREDENTIALS', 'invalidCredentials'],
    ['52e', 'ERR_LDAP_INVALID_CREDENTIALS', 'invalidCredentials'],
    ['530', 'ERR_LDAP_LOGIN_RESTRICTED', 'notPermittedAtThisTime'],
    ['531', 'ERR_LDAP_LOGIN_RESTRICTED', 'notPermittedAtThisWorkstation'],
    ['532', 'ERR_LDAP_PASSWORD_EXPIRED', 'passwordExpired'],
    ['533', 'ERR_LDAP_ACCOUNT_DISABLED', 'accountDisabled'],
    ['701', 'ERR_LDAP_ACCOUNT_EXPIRED', 'accountExpired'],
    ['773', 'ERR_LDAP_PASSWORD_MUST_CHANGE', 'mustChangePassword'],
    ['775', 'ERR_LDAP_ACCOUNT_LOCKED', 'accountLocked'],
    ['fff', 'ERR_LDAP_INVALID_CREDENTIALS', 'invalidCredentials'],
  ])('%s is %s for the account, and for a user one reason behind one sentence', async (code, expected, reason) => {
    let isService = true;
    const answer: Script['answer'] = (pdu) =>
      pdu.operation === OPERATIONS.bind && !(isService && pdu.bytes.includes('cn=good'))
        ? result(pdu.id, 0x61, 49, text(code))
        : undefined;
    await against({ answer }, async (server, driver) => {
      expect(await rejectedCode(driver.refresh(inputOf(driver, entered(server, PLAIN)), noop))).toBe(expected);
      const directory = directoryOf(driver, entered(server, { ...PLAIN, bindDn: 'cn=good,dc=example,dc=test' }));
      expect(await directory.authenticate('jane', 'password')).toEqual({
        outcome: 'refused',
        reason,
        message: 'The user name or the password is not right.',
      });
      isService = false;
    });
  });
});

describe('L8: an answer', () => {
  const deep = (levels: number): Buffer => {
    let bytes: Buffer = Buffer.from([0x04, 0x00]);
    for (let level = 0; level < levels; level += 1) bytes = encodeElement(0x30, bytes);
    return bytes;
  };
  it.each<[string, Buffer]>([
    ['of two gigabytes', Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02])],
    ['of a negative length', Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x02, 0x01])],
    ['of an indefinite length', Buffer.from([0x30, 0x80, 0x02, 0x01, 0x02, 0x00, 0x00])],
    ['with a length of eight bytes', Buffer.from([0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 5])],
    ['nested 20,000 deep', deep(20_000)],
    ['with an element longer than what holds it', Buffer.from([0x30, 0x05, 0x02, 0x01, 0x03, 0x64, 0x7f])],
    ['that is no message', Buffer.from('HTTP/1.1 200 OK\r\n')],
    ['with an attribute that never ends', Buffer.from([0x30, 0x0d, 2, 1, 3, 0x64, 8, 4, 0, 0x30, 4, 0x30, 2, 4, 0x7f])],
    ['with an operation that no answer has', Buffer.from([0x30, 0x05, 2, 1, 3, 0x4a, 0])],
  ])('%s ends the connection', async (_what, bytes) => {
    let closed = 0;
    const answer: Script['answer'] = ({ operation }, socket) => {
      if (operation !== OPERATIONS.search) return undefined;
      socket.once('close', () => (closed += 1));
      return bytes;
    };
    await against({ answer }, async (server, driver) => {
      const directory = directoryOf(driver, entered(server, PLAIN));
      expect(await rejectedCode(directory.search({}))).toBe('ERR_LDAP_RESPONSE_INVALID');
      await eventually(() => closed === 1);
    });
  });

  it('without end is read up to its bound only', async () => {
    let written = 0;
    const page = Buffer.concat(
      Array.from({ length: 64 }, () => entry(99, 'cn=x', { description: 'x'.repeat(16_384) })),
    );
    const pump = (socket: Socket): void => {
      while (!socket.destroyed) {
        written += page.length;
        if (!socket.write(page)) {
          socket.once('drain', () => {
            pump(socket);
          });
          return;
        }
      }
    };
    const answer: Script['answer'] = ({ operation }, socket) => {
      if (operation !== OPERATIONS.search) return undefined;
      pump(socket);
      return Buffer.alloc(0);
    };
    await against({ answer }, async (server, driver) => {
      const directory = directoryOf(driver, entered(server, PLAIN));
      expect(await rejectedCode(directory.search({}))).toBe('ERR_LDAP_RESPONSE_INVALID');
      // What the kernel holds of a connection comes on top.
      expect(written).toBeLessThan(RECEIVE_BOUNDS.maxAnswerBytes + 33_554_432);
    });
  });
});

describe('L9: after a connection was lost', () => {
  it('no request goes out before the bind, however many wait', async () => {
    await against({}, async (server, driver) => {
      const directory = directoryOf(driver, entered(server, { ...PLAIN, maxConnections: 4 }));
      for (let round = 0; round < 5; round += 1) {
        await Promise.allSettled(Array.from({ length: 20 }, () => directory.search({})));
        server.dropAll();
        await Promise.allSettled(Array.from({ length: 20 }, () => directory.whoAmI()));
      }
      const firsts = new Map<number, number>();
      for (const { connection, operation } of server.pdus) {
        if (!firsts.has(connection)) firsts.set(connection, operation);
      }
      expect(firsts.size).toBeGreaterThan(4);
      expect(new Set(firsts.values())).toEqual(new Set([OPERATIONS.bind]));
    });
  });

  it('a connection that has become nobody’s is replaced before it is used', async () => {
    let isAnonymous = false;
    const answer: Script['answer'] = (pdu) => {
      if (pdu.operation === OPERATIONS.bind) isAnonymous = false;
      return isAnonymous && pdu.operation === OPERATIONS.extended ? result(pdu.id, 0x78, 0) : undefined;
    };
    const clock = new TestClock();
    const run = async (server: FakeLdapServer, driver: LdapDriver): Promise<void> => {
      const directory = directoryOf(driver, entered(server, PLAIN));
      await directory.search({});
      isAnonymous = true;
      clock.advance(31_000);
      await directory.search({});
      expect(server.binds).toBe(2);
      const searches = server.pdus.filter(({ operation }) => operation === OPERATIONS.search);
      expect(searches.map(({ connection }) => connection)).toEqual([1, 2]);
    };
    await against({ answer }, (server) => withDriver((driver) => run(server, driver), { clock }));
  });
});

describe('a refused login', () => {
  it('is made once, however many want a connection', async () => {
    const answer: Script['answer'] = (pdu) =>
      pdu.operation === OPERATIONS.bind ? result(pdu.id, 0x61, 49) : undefined;
    await against({ answer }, async (server, driver) => {
      const directory = directoryOf(driver, entered(server, PLAIN));
      const codes = await Promise.all(Array.from({ length: 30 }, () => rejectedCode(directory.search({}))));
      expect(new Set(codes)).toEqual(new Set(['ERR_LDAP_INVALID_CREDENTIALS']));
      expect(server.binds).toBe(1);
    });
  });
});
