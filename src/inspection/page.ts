const INSPECTOR = 'https://stately.ai';

/** What the page may do: show the inspector, and talk to the relay that served it. */
export function pageHeaders(nonce: string, authority: string): Record<string, string> {
  return {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': [
      "default-src 'none'",
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
      'img-src data:',
      `frame-src ${INSPECTOR}`,
      `connect-src ws://${authority}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    // The address of the page holds the token: neither the inspector nor a cache learns it.
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Opener-Policy': 'same-origin',
  };
}

/** Shows the Stately inspector in a frame and hands it what the relay says, by the protocol that its own adapters speak. */
export function pageHtml(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>credlife inspect</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">
  html, body { margin: 0; height: 100%; font: 14px system-ui, sans-serif; }
  body { display: flex; flex-direction: column; }
  p { margin: 0; padding: 6px 12px; }
  iframe { flex: 1; border: 0; }
</style>
<p id="state" role="status">connecting to the relay</p>
<iframe id="inspector" title="Stately inspector" src="${INSPECTOR}/inspect" referrerpolicy="no-referrer"></iframe>
<script nonce="${nonce}">
  const state = document.getElementById('state');
  const frame = document.getElementById('inspector');
  const waiting = [];
  let ready = false;
  let count = 0;
  const hand = (message) => frame.contentWindow.postMessage(message, '${INSPECTOR}');
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== '${INSPECTOR}' || data?.type !== '@statelyai.connected') return;
    ready = true;
    for (const message of waiting.splice(0)) hand(message);
  });
  const socket = new WebSocket('ws://' + location.host + '/' + location.search);
  socket.onopen = () => { state.textContent = 'connected; waiting for a credential to wake'; };
  socket.onclose = () => { state.textContent = 'the relay has ended; start it again and open its new address'; };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (ready) hand(message);
    else if (waiting.push(message) > 2000) waiting.shift();
    count += 1;
    state.textContent = count + ' messages';
  };
</script>
</html>
`;
}
