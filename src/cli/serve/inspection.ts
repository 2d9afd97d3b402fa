import type { InspectionAddress } from '../../inspection/address.ts';
import { publishInspection, type Inspectable, type Publication } from '../../inspection/publisher.ts';
import { InspectionRelay } from '../../inspection/relay.ts';
import type { Logger } from '../../ports.ts';

/** What of the inspector runs in `serve`: with `--inspect` a relay of its own, and whatever relay there is, its engine. */
export class ServeInspection {
  /** Holds the token; `null` when the relay is another process's, or when there is none. */
  readonly viewerUrl: string | null;
  readonly #relay: InspectionRelay | null;
  readonly #publication: Publication | null;

  private constructor(relay: InspectionRelay | null, publication: Publication | null) {
    this.viewerUrl = relay?.viewerUrl ?? null;
    this.#relay = relay;
    this.#publication = publication;
  }

  /**
   * @param address of `CREDLIFE_INSPECT`: where the relay is, or is to be
   * @throws ConfigurationError `ERR_INSPECT_PORT_TAKEN`
   */
  static async start(
    engine: Inspectable,
    address: InspectionAddress | null,
    withRelay: boolean,
    logger: Logger,
  ): Promise<ServeInspection> {
    const relay = withRelay ? await InspectionRelay.start({ ...address, ports: { logger } }) : null;
    const target = relay?.address ?? address;
    const publication = target && publishInspection(engine, target, { logger });
    await publication?.attempted;
    return new ServeInspection(relay, publication);
  }

  async close(): Promise<void> {
    await this.#publication?.close();
    await this.#relay?.close();
  }
}
