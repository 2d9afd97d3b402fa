import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where outside test vectors lie: `VECTORS_DIR`, by default `test/vectors/`, which is not part of the repository. */
const FOLDER = process.env['VECTORS_DIR'] ?? join(__dirname, '../vectors');
/** Debian's python3-cryptography-vectors. */
const CAVP_FOLDER = '/usr/lib/python3/dist-packages/cryptography_vectors';

interface VectorSource {
  readonly file: string;
  /** How a person gets the file. */
  readonly from: string;
}

export function sharedVectors(name: string): VectorSource {
  return { file: join(FOLDER, name), from: 'set VECTORS_DIR to the folder that holds it' };
}

export function cavpVectors(path: string): VectorSource {
  return { file: join(CAVP_FOLDER, path), from: 'apt-get install python3-cryptography-vectors' };
}

/**
 * Declares a suite over the text of a file of vectors. Without the file nothing is declared, and the suite is named in the
 * closing summary of the run.
 */
export function vectorSuite(sentence: string, { file, from }: VectorSource, declare: (text: string) => void): void {
  if (existsSync(file)) {
    describe(sentence, () => {
      declare(readFileSync(file, 'utf8'));
    });
    return;
  }
  nameAbsent(`${sentence}: no ${file} (${from})`);
}

/** `CREDLIFE_ABSENT_SUITES` is the file that `npm test` prints at its end. */
export function nameAbsent(line: string): void {
  const summary = process.env['CREDLIFE_ABSENT_SUITES'];
  if (summary === undefined) process.stderr.write(`not run: ${line}\n`);
  else appendFileSync(summary, `${line}\n`);
}
