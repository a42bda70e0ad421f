import type { PortRange } from './rule.ts';

/** The settings of `boot.conf` for a host that has no rules to load. */
export interface BootConf {
  /** The ports of ssh, which stay open to every address. */
  readonly sshPorts: readonly PortRange[];
  /** Whether such a host is left open (FALLBACK=open). */
  readonly isOpen: boolean;
}
