import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SETTINGS, type Setting } from '../src/setting-catalogue.ts';

const ROOT = join(__dirname, '..');
const entries: [string, Setting][] = Object.entries(SETTINGS);

it('is the table of docs/settings.md, word by word', () => {
  const rows = readFileSync(join(ROOT, 'docs/settings.md'), 'utf8')
    .split('\n')
    .filter((line) => /^\| `/.test(line));
  expect(rows).toEqual(entries.map(([name, { meaning, default: usual }]) => `| \`${name}\` | ${meaning} | ${usual} |`));
});

it('has every variable that the code reads, and no other', () => {
  const code = globSync('{src,credentials,nodes,bin}/**/*.{ts,cjs}', { cwd: ROOT })
    .filter((file) => !file.endsWith('setting-catalogue.ts'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'));
  // Only those between quotes are read; prose names them too.
  const read = code.flatMap((text) => [...text.matchAll(/'(CREDLIFE_[A-Z0-9_]+)'/g)].map(([, name = '']) => name));
  expect([...new Set(read)].sort()).toEqual(entries.map(([name]) => name).sort());
});

it('is the only table of settings: no other page has one', () => {
  const pages = ['README.md', ...globSync('docs/*.md', { cwd: ROOT })].filter((file) => !file.endsWith('settings.md'));
  for (const page of pages) {
    expect({ page, rows: readFileSync(join(ROOT, page), 'utf8').match(/^\| `CREDLIFE_/gm) }).toEqual({
      page,
      rows: null,
    });
  }
});
