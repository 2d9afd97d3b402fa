import type { ServerResponse } from 'node:http';

/** What a person sees in the browser at the end. Nothing in it comes from the request. */
const PAGES = {
  done: { status: 200, title: 'Signed in', text: 'You can close this window.' },
  failed: { status: 400, title: 'The sign-in failed', text: 'The terminal where it began says why.' },
  foreign: { status: 400, title: 'Not the sign-in that is awaited', text: 'The right one is still awaited.' },
  notHere: { status: 404, title: 'Nothing here', text: 'Only the answer to a sign-in is awaited here.' },
} as const;
export type PageName = keyof typeof PAGES;

export function sendPage(response: ServerResponse, name: PageName): void {
  const { status, title, text } = PAGES[name];
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  const head = `<meta charset="utf-8"><title>${title}</title>`;
  response.end(
    `<!doctype html><html lang="en"><head>${head}</head><body><h1>${title}</h1><p>${text}</p></body></html>\n`,
  );
}
