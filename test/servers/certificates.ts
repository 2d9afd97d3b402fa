import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/folder.ts';

export interface Certified {
  readonly cert: string;
  readonly key: string;
}

/** An authority of a test's own, made with openssl, and what it certifies. */
export class TestAuthority {
  readonly cert: string;
  readonly #folder = temporaryFolder();

  constructor() {
    const { key, cert } = this.#selfSigned('ca', ['-addext', 'basicConstraints=critical,CA:TRUE']);
    this.cert = cert;
    writeFileSync(join(this.#folder.path, 'ca.key'), key);
  }

  issue(name: string, alternativeName: string): Certified {
    const at = (suffix: string): string => join(this.#folder.path, `${name}.${suffix}`);
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`];
    openssl(['req', ...ec, '-keyout', at('key'), '-out', at('csr')]);
    writeFileSync(at('ext'), `subjectAltName=${alternativeName}\nbasicConstraints=critical,CA:FALSE\n`);
    const authority = ['-CA', join(this.#folder.path, 'ca.crt'), '-CAkey', join(this.#folder.path, 'ca.key')];
    const signed = ['-CAcreateserial', '-days', '30', '-extfile', at('ext'), '-out', at('crt')];
    openssl(['x509', '-req', '-in', at('csr'), ...authority, ...signed]);
    return { cert: readFileSync(at('crt'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  }

  selfSigned(name: string): Certified {
    return this.#selfSigned(name, []);
  }

  dispose(): void {
    this.#folder.dispose();
  }

  #selfSigned(name: string, extensions: readonly string[]): Certified {
    const at = (suffix: string): string => join(this.#folder.path, `${name}.${suffix}`);
    const ec = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    ];
    openssl(['req', '-x509', ...ec, ...extensions, '-keyout', at('key'), '-out', at('crt')]);
    return { cert: readFileSync(at('crt'), 'utf8'), key: readFileSync(at('key'), 'utf8') };
  }
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}
