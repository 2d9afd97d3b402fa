// Run by `npm run bench -- n8n-trigger`: how soon a workflow starts after something happened to a credential.
import { writeFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { accessWith, active, heard, heardOfAll, instantOf, pausedAndResumed, trigger, type Item } from './triggered.ts';
import { World } from './world.ts';

const CREDENTIALS = 10;
const ROUNDS = 10;

function row(name: string, ms: readonly number[]): string {
  expect(ms.length).toBeGreaterThanOrEqual(CREDENTIALS);
  const sorted = [...ms].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? NaN;
  return `| ${name} | ${String(ms.length)} | ${String(median)} ms | ${String(sorted.at(-1))} ms |`;
}

it('measures how soon a workflow starts', async () => {
  const world = await World.start({ accessTokenTtlMs: 4_000, env: { N8N_LOG_LEVEL: 'error' } });
  try {
    const workflow = await active(world, trigger(await accessWith(world), ['*'], { filters: { tags: 'measured' } }));
    const ids: string[] = [];
    for (let count = 0; count < CREDENTIALS; count += 1) {
      const id = await world.registered(`Number ${String(count)}`);
      await world.withEngine((engine) => engine.update(id, { tags: ['measured'] }));
      ids.push(id);
    }
    await world.server.failNext({ kind: 'status', status: 503 }, 100_000);
    await heardOfAll(world, workflow, 'credential.expired', ids);
    const ends = new Map<unknown, number>();
    await world.withEngine(async (engine) => {
      for (const id of ids) ends.set(id, (await engine.get(id)).expiresAt?.getTime() ?? NaN);
    });
    await world.server.clearFaults();
    await heardOfAll(world, workflow, 'credential.recovered', ids);
    for (let round = 0; round < ROUNDS; round += 1) await pausedAndResumed(world, ids[0] ?? '');
    await heardOfAll(world, workflow, 'credential.resumed', ids.slice(0, 1));
    const all = await heard(world, workflow);
    const after = (type: string, since: (item: Item) => number): number[] =>
      all.filter(({ item }) => item['type'] === type).map(({ item, startedAtMs }) => startedAtMs - since(item));
    const rows = [
      row(
        'the end of a token',
        after('credential.expired', ({ credentialId }) => ends.get(credentialId) ?? NaN),
      ),
      row('a recovery', after('credential.recovered', instantOf)),
      row('an event that another process wrote', [
        ...after('credential.paused', instantOf),
        ...after('credential.resumed', instantOf),
      ]),
    ];
    const heading = '| from | how many | median | slowest |\n| --- | --- | --- | --- |';
    writeFileSync(1, `\n${[heading, ...rows].join('\n')}\n`);
  } finally {
    await world.stop();
  }
}, 600_000);
