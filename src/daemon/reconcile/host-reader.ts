import type { Logger } from 'pino';
import type { HostState } from '#core/model/policy/host.ts';
import { readIdentity } from '#host/identity.ts';
import type { PendingTriggers } from './pending-triggers.ts';
import { type InterfaceWatch, watchInterfaces } from './watch-links.ts';

/** What the host is read with. */
export interface HostReaderOptions {
  readonly flowLabels: boolean;
  readonly routeLookups: boolean;
  readonly pending: PendingTriggers;
  readonly log: Logger;
}

const AFTER_INTERFACE_CHANGE_MILLISECONDS = 20;

/** Reads what a policy is resolved with, and marks the host as pending when an interface changes. */
export class HostReader {
  readonly #options: HostReaderOptions;
  #interfaces: InterfaceWatch | undefined;

  constructor(options: HostReaderOptions) {
    this.#options = options;
  }

  /** Watches the interfaces from now on. Throws a NetlinkError. */
  async start(): Promise<void> {
    const { pending, log } = this.#options;
    this.#interfaces = await watchInterfaces({
      onChange: () => pending.mark('host', AFTER_INTERFACE_CHANGE_MILLISECONDS),
      onError: (error) => log.warn({ err: error }, 'interfaces: the watch had trouble and goes on'),
    });
  }

  /** The host as it is now: its name is read each time, for at boot it may be set after the daemon has started. Throws a NetlinkError. */
  async read(): Promise<HostState> {
    const { flowLabels, routeLookups } = this.#options;
    const identity = await readIdentity();
    return { ...identity, interfaces: (await this.#interfaces?.snapshot()) ?? [], flowLabels, routeLookups };
  }

  close(): void {
    this.#interfaces?.close();
  }
}
