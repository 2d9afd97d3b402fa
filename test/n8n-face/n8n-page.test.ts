import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod/v4';
import { ERROR_CATALOGUE } from '../../src/errors.ts';

const ROOT = join(__dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/n8n.md'), 'utf8');
const IMAGES = globSync('docs/images/*.png', { cwd: ROOT });
const MOST_BYTES = 150 * 1024;

jest.setTimeout(120_000);

function section(heading: string): string {
  const [, text = ''] = page.split(`\n## ${heading}\n`);
  return text.split('\n## ', 1)[0] ?? '';
}

const catalogue = Object.entries(ERROR_CATALOGUE).map(([code, { action }]) => [code, action]);

it('gives the advice of the catalogue for each code of its troubleshooting', () => {
  const rows = [...section('Troubleshooting').matchAll(/^\| `(ERR_\w+)` \| .+ \| (.+) \|$/gm)];
  expect(rows.length).toBeGreaterThan(15);
  for (const [, code, action] of rows) expect(catalogue).toContainEqual([code, action]);
});

it("names just the rules of n8n's gate that find something, in the sources and in the package", () => {
  const rules = z.record(z.string(), z.number());
  const output = execFileSync(process.execPath, [join(ROOT, 'scripts/n8n-rules.mjs')], { encoding: 'utf8' });
  const found = z.object({ source: rules, package: rules }).parse(JSON.parse(output));
  const named = [...section('Why it is not "verified"').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, rule]) => rule);
  expect(named.sort()).toEqual(Object.keys({ ...found.source, ...found.package }).sort());
  // What is written by hand keeps all rules but these, which eslint.config.mjs switches off with a reason.
  expect(Object.keys(found.source)).toEqual(['no-dead-files', 'no-runtime-dependencies']);
});

it('switches no rule of n8n off without saying why, right there', () => {
  const config = readFileSync(join(ROOT, 'eslint.config.mjs'), 'utf8').split('\n');
  const off = config.flatMap((line, index) => (/'@n8n\/[^']+': 'off'/.test(line) ? [index] : []));
  expect(off).toHaveLength(2);
  for (const index of off) expect(config[index - 1]).toMatch(/^ *\/\/ .{30,}/);
});

it('has every picture, light and dark, each of them shown and small', () => {
  const shown = [...page.matchAll(/images\/[\w.-]+\.png/g)].map(([file]) => `docs/${file}`);
  expect(shown.length).toBeGreaterThan(0);
  expect([...new Set(shown)].sort()).toEqual(IMAGES.map((file) => file.replaceAll('\\', '/')).sort());
  for (const file of IMAGES) {
    expect({ file, small: statSync(join(ROOT, file)).size < MOST_BYTES }).toEqual({ file, small: true });
    const other = file.includes('.light.') ? file.replace('.light.', '.dark.') : file.replace('.dark.', '.light.');
    expect(IMAGES).toContain(other);
  }
});

it('leads nowhere that there is nothing', () => {
  for (const [, link = ''] of page.matchAll(/\]\(([^)]+)\)/g)) {
    const [file = '', anchor = ''] = link.split('#');
    if (/^https?:/.test(file)) continue;
    expect({ link, exists: file === '' || existsSync(join(ROOT, 'docs', file)) }).toEqual({ link, exists: true });
    if (file === '') expect(anchorsOf(page)).toContain(anchor);
  }
});

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  );
}
