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
  readonly #folder: string;
  #issued = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.certificateFile = join(folder, 'ca.pem');
    const files = ['-keyout', join(folder, 'ca.key'), '-out', this.certificateFile];
    const extension = ['-addext', 'basicConstraints=critical,CA:TRUE'];
    openssl(['req', '-x509', ...KEY, '-days', '30', '-subj', '/CN=Test CA', ...extension, ...files]);
    this.certificate = readFileSync(this.certificateFile, 'utf8');
  }

  /** `names` are subject alternative names as openssl writes them; `days` may lie in the past. */
  issue(subject: string, { names = '', days = 30 }: { names?: string; days?: number } = {}): KeyPair {
    this.#issued += 1;
    const path = (suffix: string): string => join(this.#folder, `issued-${String(this.#issued)}.${suffix}`);
    openssl(['req', ...KEY, '-subj', subject, '-keyout', path('key'), '-out', path('csr')]);
    writeFileSync(
      path('ext'),
      `${names === '' ? '' : `subjectAltName=${names}\n`}basicConstraints=critical,CA:FALSE\n`,
    );
    const authority = ['-CA', this.certificateFile, '-CAkey', join(this.#folder, 'ca.key'), '-CAcreateserial'];
    const files = ['-in', path('csr'), '-extfile', path('ext'), '-out', path('pem')];
    openssl(['x509', '-req', ...authority, '-days', String(days), ...files]);
    return {
      certificate: readFileSync(path('pem'), 'utf8'),
      key: readFileSync(path('key'), 'utf8'),
      certificateFile: path('pem'),
      keyFile: path('key'),
    };
  }
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
