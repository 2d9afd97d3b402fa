import { PassThrough } from 'node:stream';
import stringWidth from 'string-width';
import { composeFrame, type FrameContent } from '../../src/cli/serve/frame.ts';
import { Screen } from '../../src/cli/serve/screen.ts';
import { plainStyle } from '../../src/cli/style.ts';
import { NOW, refusedRow, sampleRow } from './credential-samples.ts';

const statistics = { requests: 12, tokenRequests: 8, spentTokensPresented: 0, graceReuses: 0, refreshes: {} };
const counts = { pending: 0, valid: 1, refreshing: 0, expired: 1, revoked: 0 };
const content: FrameContent = {
  now: NOW,
  counts,
  rows: [sampleRow(), refusedRow('Rotating grant', 'expired.needsUser')],
  sandbox: { issuer: 'http://127.0.0.1:4444', statistics },
};

test('has head, table, troubles and foot', () => {
  const lines = composeFrame(content, { width: 100, height: 30 }, plainStyle);
  expect(lines[0]).toMatch(/^credlife serve: 2 credentials: 1 valid, 1 expired +\d\d:\d\d:\d\d$/);
  expect(lines[2]).toMatch(/^NAME/);
  expect(lines).toContain('Rotating grant: auth.example refused the grant. [ERR_OAUTH2_INVALID_GRANT]');
  expect(lines.at(-1)).toMatch(/^sandbox 127\.0\.0\.1:4444: 12 requests, spent tokens presented: 0 +Ctrl-C ends$/);
});

test('never exceeds the size of the terminal', () => {
  const rows = Array.from({ length: 60 }, (_, index) =>
    refusedRow(`Credential with a long name ${index}`, 'expired.needsUser'),
  );
  const many = { ...content, rows, counts: { ...counts, expired: 5_000 } };
  for (let width = 40; width <= 160; width += 7) {
    for (let height = 5; height <= 50; height += 3) {
      const lines = composeFrame(many, { width, height }, plainStyle);
      expect(lines.length).toBeLessThanOrEqual(height);
      expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(width);
    }
  }
});

test('says how many credentials are not shown', () => {
  const rows = Array.from({ length: 60 }, () => sampleRow());
  const lines = composeFrame(
    { ...content, rows, counts: { ...counts, valid: 5_000 } },
    { width: 80, height: 20 },
    plainStyle,
  );
  expect(lines).toContainEqual(expect.stringMatching(/^… and 49\d\d more: credlife list$/));
});

test('says what to do when there are no credentials', () => {
  const none = { pending: 0, valid: 0, refreshing: 0, expired: 0, revoked: 0 };
  const lines = composeFrame({ ...content, rows: [], counts: none }, { width: 120, height: 20 }, plainStyle);
  expect(lines.join('\n')).toContain('credlife register');
});

test('says so when the sandbox does not answer', () => {
  const sandbox = { issuer: 'http://127.0.0.1:4444', statistics: null };
  expect(composeFrame({ ...content, sandbox }, { width: 80, height: 20 }, plainStyle).at(-1)).toContain(
    'does not answer',
  );
});

describe('the screen', () => {
  const terminal = (): PassThrough & { columns: number; rows: number } =>
    Object.assign(new PassThrough(), { columns: 80, rows: 5, isTTY: true });
  const written = (stream: PassThrough): string => {
    const chunk: unknown = stream.read();
    return chunk instanceof Buffer ? chunk.toString() : '';
  };

  test('draws a frame over the last one, in one write, without clearing the screen', () => {
    const output = terminal();
    const screen = new Screen(output);
    screen.draw(['one', 'two']);
    expect(written(output)).toBe('\u001b[?2026h\rone\u001b[K\ntwo\u001b[K\n\u001b[J\u001b[?2026l');
    screen.draw(['three']);
    expect(written(output)).toBe('\u001b[?2026h\r\u001b[2Athree\u001b[K\n\u001b[J\u001b[?2026l');
  });

  test('writes nothing when nothing has changed', () => {
    const output = terminal();
    const screen = new Screen(output);
    screen.draw(['one']);
    written(output);
    screen.draw(['one']);
    expect(written(output)).toBe('');
  });

  test('draws no more lines than the terminal has, so that it never scrolls', () => {
    const output = terminal();
    new Screen(output).draw(Array.from({ length: 50 }, (_, index) => `line ${index}`));
    expect(written(output).split('\n')).toHaveLength(5);
  });

  test('starts on a cleared screen after the terminal was resized', () => {
    const output = terminal();
    const screen = new Screen(output);
    screen.draw(['one']);
    written(output);
    output.emit('resize');
    screen.draw(['one']);
    expect(written(output)).toContain('\u001b[2J\u001b[H');
  });

  test('leaves the cursor alone', () => {
    const output = terminal();
    const screen = new Screen(output);
    screen.draw(['one']);
    screen.close();
    expect(written(output)).not.toContain('\u001b[?25l');
    expect(output.listenerCount('resize')).toBe(0);
  });
});
