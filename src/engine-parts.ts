import { ownDrivers } from './drivers.ts';
import { requireDrivers, spoolFolderOf, type EngineOptions } from './engine-options.ts';
import { Behind } from './lifecycle/behind.ts';
import type { Surroundings } from './lifecycle/effects.ts';
import { plannedHealth } from './lifecycle/health-policy.ts';
import { UnsavedAnswers } from './lifecycle/spool.ts';
import { withOutboundPolicy } from './outbound/outbound-fetch.ts';
import { silentLogger, systemClock, systemFetch, systemRandom, type Ports } from './ports.ts';
import { ProtocolRegistry } from './protocols/protocol.ts';
import { Budgets } from './resilience/budgets.ts';
import { EndpointGate } from './resilience/endpoint-gate.ts';
import { openStores } from './storage/open.ts';
import type { Stores } from './storage/stores.ts';
import { leasesOf, upkeepOptions, type UpkeepOptions } from './upkeep.ts';
import { FileSpool } from './vault/file-spool.ts';
import { openVault, type OpenedVault } from './vault/open-vault.ts';

/** What an engine is made of, opened. */
export interface EngineParts {
  readonly surroundings: Surroundings;
  readonly stores: Stores;
  readonly opened: OpenedVault;
  readonly upkeep: UpkeepOptions;
}

const DEFAULT_PORTS: Ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };

/** Opens stores and vault, and puts the drivers, the gate and the spool beside them. The options have been checked. */
export async function openParts(options: EngineOptions): Promise<EngineParts> {
  const ports = withOutboundPolicy({ ...DEFAULT_PORTS, ...options.ports }, options.outbound);
  const drivers = new ProtocolRegistry(requireDrivers(ownDrivers(ports, options.n8n), options.drivers?.(ports) ?? []));
  const { database } = options;
  const stores = typeof database === 'string' ? await openStores(database, ports) : database;
  try {
    const { records } = stores;
    const opened = await openVault(stores, options, ports);
    const { vault } = opened;
    const gate = new EndpointGate({ ports, records, vault, budgets: new Budgets(options.budgets ?? []) });
    const upkeep = upkeepOptions(options, () => leasesOf(database, ports));
    const folder = spoolFolderOf(options);
    const surroundings: Surroundings = {
      ...{ ports, records, vault, drivers, gate },
      owner: ports.random.bytes(8).toString('hex'),
      spool: folder === null ? null : new FileSpool(folder, vault, ports.logger),
      unsaved: new UnsavedAnswers(),
      behind: new Behind(),
      planHealth: (record, now) => plannedHealth(record, upkeep.rules, now),
    };
    return { surroundings, stores, opened, upkeep };
  } catch (error) {
    await stores.records.close();
    throw error;
  }
}
