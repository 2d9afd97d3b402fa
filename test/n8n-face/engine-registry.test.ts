import { describe, expect, it, jest } from '@jest/globals';
import type * as registryModule from '../../src/n8n/engine-registry.ts';
import { EngineRegistry, sharedRegistry } from '../../src/n8n/engine-registry.ts';
import { FakeClient } from './fake-client.ts';

function opener() {
  const engines: { client: FakeClient; close: jest.Mock<() => Promise<void>> }[] = [];
  const open = jest.fn(async () => {
    const engine = { client: new FakeClient(), close: jest.fn(async () => undefined) };
    engines.push(engine);
    return engine;
  });
  return { open, engines };
}

describe('the registry', () => {
  it('opens nothing until somebody asks', () => {
    const { open } = opener();
    new EngineRegistry(open);
    expect(open).not.toHaveBeenCalled();
  });

  it('opens once for all who ask at the same time, and for all later ones', async () => {
    const { open } = opener();
    const registry = new EngineRegistry(open);
    const clients = await Promise.all(Array.from({ length: 20 }, () => registry.client()));
    expect(new Set([...clients, await registry.client()]).size).toBe(1);
    expect(open).toHaveBeenCalledTimes(1);
  });

  it('tells all who wait about a failed opening, and tries again for the next', async () => {
    const { open, engines } = opener();
    open.mockRejectedValueOnce(new Error('the disk is full'));
    const registry = new EngineRegistry(open);
    const outcomes = await Promise.allSettled([registry.client(), registry.client()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(registry.client()).resolves.toBe(engines[0]?.client);
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('begins to close within the call, since the last moment of a process is synchronous', async () => {
    const { open, engines } = opener();
    const registry = new EngineRegistry(open);
    await registry.client();
    const closed = registry.close();
    expect(engines[0]?.close).toHaveBeenCalledTimes(1);
    await closed;
    await registry.client();
    expect(open).toHaveBeenCalledTimes(2);
  });

  it('is one per process, also for a second copy of this package', async () => {
    const first = sharedRegistry();
    jest.resetModules();
    const copy = jest.requireActual<typeof registryModule>('../../src/n8n/engine-registry.ts');
    expect(copy.sharedRegistry).not.toBe(sharedRegistry);
    expect(copy.sharedRegistry()).toBe(first);
  });

  it('takes no signal: those belong to the host', () => {
    sharedRegistry();
    expect(process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')).toBe(0);
  });
});
