import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where Debian and its like install it. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const SWITCHES = [
  // Chromium's own sandbox needs rights that a container does not give, and it loads pages of this machine only.
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // The same pixels on every machine.
  '--force-color-profile=srgb',
  '--font-render-hinting=none',
];

/** A Chromium without a window. Close it when you are done. */
export function launchChromium(): Promise<Browser> {
  const executablePath = PLACES.find((place) => existsSync(place));
  if (executablePath === undefined) throw new Error('Chromium is missing (Debian: apt-get install chromium)');
  return chromium.launch({ executablePath, args: SWITCHES });
}
