/*
 * The policy format as plain data: what a YAML or JSON reader makes of a policy file. Written from the format's
 * description and not from the program's own schema, so that each can find the other's mistakes.
 */

/** The other end of a rule. */
export type PlainRemote = string | { readonly securityGroup: string } | { readonly addressGroup: string };

/** An ICMP type, by name or number, with or without a code. */
export type PlainIcmp = string | number | { readonly type: string | number; readonly code?: string | number };

/** A rule; inbound ones have `source`, outbound ones `destination`. */
export interface PlainRule {
  readonly action?: 'allow' | 'deny';
  readonly priority?: number;
  readonly type?: 'ipv4' | 'ipv6';
  readonly protocol?: string | number;
  readonly ports?: string | number | readonly (string | number)[];
  readonly icmp?: PlainIcmp;
  readonly source?: PlainRemote;
  readonly destination?: PlainRemote;
  readonly description?: string;
  readonly enabled?: boolean;
}

/** A security group. */
export interface PlainSecurityGroup {
  readonly description?: string;
  readonly template?: 'default' | 'Sys-WebServer' | 'Sys-FullAccess';
  readonly inbound?: readonly PlainRule[];
  readonly outbound?: readonly PlainRule[];
}

/** An interface, or a glob of them. */
export interface PlainInterface {
  readonly addresses?: readonly string[] | 'dynamic';
  readonly securityGroups: readonly string[];
  readonly invalid?: 'drop' | 'match';
}

/** A host. */
export interface PlainInstance {
  readonly hostname?: string;
  readonly machineId?: string;
  readonly evaluation?: 'sequence' | 'merged';
  readonly interfaces?: Readonly<Record<string, PlainInterface>>;
}

/** A policy file. */
export interface PlainPolicy {
  readonly version: 1;
  readonly evaluation?: 'sequence' | 'merged';
  readonly unmanagedInterfaces?: 'allow' | 'deny';
  readonly platform?: {
    readonly neighborDiscovery?: boolean;
    readonly routerAdvertisement?: boolean;
    readonly dhcpClient?: boolean;
    readonly igmp?: boolean;
    readonly ownAddress?: boolean;
    readonly helpers?: boolean;
    readonly management?: readonly PlainRule[];
  };
  readonly addressGroups?: Readonly<Record<string, { readonly addresses: readonly string[] }>>;
  readonly securityGroups?: Readonly<Record<string, PlainSecurityGroup>>;
  readonly instances?: Readonly<Record<string, PlainInstance>>;
}
