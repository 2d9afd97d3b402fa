import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A certificate authority of a test run, with its files in one folder. */
export class CertificateAuthority {
  readonly certificate: string;
  readonly certificateFile: string;
  readonly #keyFile: string;
  readonly #folder: string;
  #issued = 0;

  constructor(folder: string) {
    this.#folder = folder;
    const own = this.#selfSigned('ca', '/CN=Test CA', ['-addext', 'basicConstraints=critical,CA:TRUE']);
    ({ certificate: this.certificate, certificateFile: this.certificateFile, keyFile: this.#keyFile } = own);
  }

  /** `names` are subject alternative names as openssl writes them; `days` may lie in the past. */
  issue(subject: string, { names = '', days = 30 }: { names?: string; days?: number } = {}): KeyPair {
    const path = this.#files(this.#nextName());
    openssl(['req', ...KEY, '-subj', subject, '-keyout', path('key'), '-out', path('csr')]);
    writeFileSync(
      path('ext'),
      `${names === '' ? '' : `subjectAltName=${names}\n`}basicConstraints=critical,CA:FALSE\n`,
    );
    const authority = ['-CA', this.certificateFile, '-CAkey', this.#keyFile, '-CAcreateserial'];
    const files = ['-in', path('csr'), '-extfile', path('ext'), '-out', path('pem')];
    openssl(['x509', '-req', ...authority, '-days', String(days), ...files]);
    return pairIn(path);
  }

  /** A certificate that nobody has certified. */
  selfSigned(subject: string): KeyPair {
    return this.#selfSigned(this.#nextName(), subject, []);
  }

  #selfSigned(name: string, subject: string, extensions: readonly string[]): KeyPair {
    const path = this.#files(name);
    const files = ['-keyout', path('key'), '-out', path('pem')];
    openssl(['req', '-x509', ...KEY, '-days', '30', '-subj', subject, ...extensions, ...files]);
    return pairIn(path);
  }

  #nextName(): string {
    this.#issued += 1;
    return `issued-${String(this.#issued)}`;
  }

  #files(name: string): (suffix: string) => string {
    return (suffix) => join(this.#folder, `${name}.${suffix}`);
  }
}

function pairIn(path: (suffix: string) => string): KeyPair {
  return {
    certificate: readFileSync(path('pem'), 'utf8'),
    key: readFileSync(path('key'), 'utf8'),
    certificateFile: path('pem'),
    keyFile: path('key'),
  };
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
