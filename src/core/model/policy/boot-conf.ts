import type { PortRange } from './rule.ts';

/** What `boot.conf` says of a host that has no rules to load. */
export interface BootConf {
  /** The ports of ssh, which stay open to everybody. */
  readonly sshPorts: readonly PortRange[];
  /** Whether such a host stands open (FALLBACK=open). */
  readonly isOpen: boolean;
}
