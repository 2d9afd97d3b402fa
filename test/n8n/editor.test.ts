import path from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import manifest from '../../package.json';
import { Started } from '../support/started.ts';
import { Editor, type Shown, type Theme } from './editor.ts';
import { Gallery } from './gallery.ts';
import { World } from './world.ts';

/** A folder to keep the pictures in (`npm run screenshots`); without one they are only looked at. */
const FOLDER = process.env['CREDLIFE_SCREENSHOTS'];
const THEMES: readonly Theme[] = ['light', 'dark'];
const ICONS = '/icons/n8n-nodes-credential-lifecycle/';
/** A text that n8n or we forgot to write shows its key: `credentialEdit.credentialConfig.saved`. */
const RAW_KEY = /\b[a-z][a-zA-Z]+(\.[a-z][a-zA-Z]+){2,}\b/;
const UNFILLED = /\{\{|\bundefined\b|\[object |\bNaN\b/;

const started = Started.inSuite();
let world: World;
let gallery: Gallery;
let editor: Editor;
const shown = new Map<string, Shown>();

beforeAll(async () => {
  world = await started.add(World.start());
  gallery = await started.add(Gallery.open(world));
  editor = await started.add(Editor.open(world.n8n));
  for (const { name, take } of gallery.exhibits) {
    for (const theme of THEMES) {
      await editor.choose(theme);
      const picture = await take(editor);
      shown.set(`${name}.${theme}`, await picture.shown());
      if (FOLDER !== undefined) await picture.save(path.resolve(FOLDER, `${name}.${theme}.png`));
    }
  }
  // The editor is a large program, and each picture loads it anew.
}, 900_000);

function each<T>(read: (one: Shown) => T): Record<string, T> {
  return Object.fromEntries([...shown].map(([name, one]) => [name, read(one)]));
}

function all<T>(value: T): Record<string, T> {
  return each(() => value);
}

describe("the package in n8n's editor, light and dark", () => {
  it('has a picture of each of its credential types and nodes', () => {
    const files = [...manifest.n8n.credentials, ...manifest.n8n.nodes].map((file) => path.basename(file));
    const types = files.map((file) => file.charAt(0).toLowerCase() + file.slice(1, file.indexOf('.')));
    expect([...new Set(gallery.exhibits.map((exhibit) => exhibit.of))].sort()).toEqual(types.sort());
    expect(shown.size).toBe(2 * gallery.exhibits.length);
  });

  it('shows an icon of its own everywhere, the dark one in the dark', () => {
    const icons = (name: string) => shown.get(name)?.icons.filter(({ source }) => source.includes(ICONS)) ?? [];
    for (const name of shown.keys()) {
      const own = icons(name);
      expect({ name, icons: own }).toEqual({ name, icons: expect.arrayContaining([expect.anything()]) });
      expect({ name, dark: own.every(({ source }) => source.includes('.dark.')) }).toEqual({
        name,
        dark: name.endsWith('.dark'),
      });
    }
  });

  it('misses no picture', () => {
    expect(each(({ icons }) => icons.filter(({ width }) => width === 0))).toEqual(all([]));
  });

  it('cuts no text off', () => {
    expect(each(({ cut }) => cut)).toEqual(all([]));
  });

  it('shows no raw key and nothing unfilled', () => {
    expect(each(({ text }) => RAW_KEY.exec(text)?.[0] ?? UNFILLED.exec(text)?.[0] ?? null)).toEqual(all(null));
  });

  it('says with each operation of the node what it does', async () => {
    const [panel] = gallery.exhibits.filter(({ of }) => of === 'credentialLifecycle');
    if (!panel) throw new Error('there is no panel');
    await panel.take(editor);
    // n8n adds the last one itself.
    const operations = (await editor.operations()).filter((text) => text !== 'Custom API Call');
    expect(operations.length).toBeGreaterThan(5);
    for (const text of operations) expect(text).toMatch(/^[A-Z].+\n+[A-Z].{20,}/s);
  });

  it('makes the editor reach for no server elsewhere', () => {
    expect(editor.refused).toEqual([]);
  });
});
