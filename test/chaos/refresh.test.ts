import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod/v4';

const ROOT = resolve(__dirname, '../..');
/** `npm run chaos -- refresh` sets both. */
const { CREDLIFE_CHAOS_KILLS: kills, CREDLIFE_CHAOS_SEED: seed = '20260301' } = process.env;
/** One kill takes about a second; what is left is for founding and settling. */
const options =
  kills === undefined
    ? { processes: '3', credentials: '12', kills: '8', seconds: '10', ttl: '4', pace: '500', seed }
    : { kills, seconds: String(2 * Number(kills)), seed };
/** A short run need not see the end of a token that waits out its 25 s. */
const flags = kills === undefined ? ['--json', '--impatient'] : ['--json'];
const TIMEOUT_MS = kills === undefined ? 60_000 : (2 * Number(kills) + 600) * 1_000;

const reportSchema = z.looseObject({
  kills: z.int(),
  requests: z.int(),
  byGrace: z.array(z.looseObject({ graceMs: z.int(), rotated: z.int() })),
  violations: z.array(z.string()),
  late: z.array(z.string()),
});

test(
  'engines that are killed and stopped at any instant spend no token twice and lose no grant that a grace window keeps',
  async () => {
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(process.execPath, ['scripts/chaos/refresh.mjs', ...args, ...flags], {
      cwd: ROOT,
      env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      // Its progress is for whoever waits for a long run.
      stdio: ['ignore', 'pipe', kills === undefined ? 'ignore' : 'inherit'],
    });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
    const report = reportSchema.parse(JSON.parse(output));
    if (kills !== undefined) process.stderr.write(`${JSON.stringify(report, null, 2)}\n`);
    expect(report.violations).toEqual([]);
    // How fast a dead holder is replaced is the machine's matter too: only a long run is judged by it.
    if (kills !== undefined) expect([report.late, code]).toEqual([[], 0]);
    expect(report.kills).toBeGreaterThan(0);
    // A run that asked the issuer for nothing would have proved nothing.
    for (const { rotated } of report.byGrace) expect(rotated).toBeGreaterThan(3);
  },
  TIMEOUT_MS,
);
