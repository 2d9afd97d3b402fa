import { beforeEach, describe, expect, it } from '@jest/globals';
import { Started, type Stoppable } from './started.ts';

const ended: string[] = [];

function thing(name: string, stop: () => unknown = () => undefined): Promise<Stoppable> {
  return Promise.resolve({
    stop: () => {
      ended.push(name);
      return stop();
    },
  });
}

const failure = (message: string) => () => Promise.reject(new Error(message));

beforeEach(() => {
  ended.length = 0;
});

describe('what was started', () => {
  it('ends with the last first, and once', async () => {
    const started = new Started();
    await started.add(thing('server'));
    started.later(() => ended.push('folder'));
    await started.add(thing('n8n'));
    await started.stop();
    await started.stop();
    expect(ended).toEqual(['n8n', 'folder', 'server']);
  });

  it('ends to the last of it when an end fails, and says what failed first', async () => {
    const started = new Started();
    await started.add(thing('server', failure('the server hangs')));
    await started.add(thing('n8n', failure('n8n hangs')));
    started.later(() => {
      throw new Error('no folder');
    });
    await expect(started.stop()).rejects.toThrow('no folder');
    expect(ended).toEqual(['n8n', 'server']);
  });

  it('ends without what could not start', async () => {
    const started = new Started();
    await started.add(thing('server'));
    await expect(started.add(Promise.reject<Stoppable>(new Error('no port')))).rejects.toThrow('no port');
    await started.stop();
    expect(ended).toEqual(['server']);
  });

  it('waits for a start that nobody waits for any more, and ends that too', async () => {
    const started = new Started();
    const { promise, resolve } = Promise.withResolvers<Stoppable>();
    void started.add(promise);
    const stopping = started.stop();
    resolve(await thing('late'));
    await stopping;
    expect(ended).toEqual(['late']);
  });
});

describe('what is started together', () => {
  it('stays when all of it could start', async () => {
    await expect(Started.together((started) => started.add(thing('server')))).resolves.toBeDefined();
    expect(ended).toEqual([]);
  });

  it('is ended when one of it could not start, and says why that was, not how it ended', async () => {
    const starting = Started.together(async (started) => {
      await started.add(thing('server', failure('the server hangs')));
      await started.add(thing('redis'));
      throw new Error('no n8n');
    });
    await expect(starting).rejects.toThrow('no n8n');
    expect(ended).toEqual(['redis', 'server']);
  });
});

describe('in a suite', () => {
  const seen: string[] = [];

  describe('with something started', () => {
    const started = Started.inSuite();
    it('goes through its tests with it', async () => {
      started.later(() => seen.push('ended'));
      await started.add(thing('server'));
      expect(seen).toEqual([]);
    });
  });

  it('has ended it after them', () => {
    expect(seen).toEqual(['ended']);
  });
});
