import type { Interval } from '#core/model/net/interval.ts';
import type { AddressGroupName, GroupName, InstanceName } from '#core/model/policy/names.ts';

/** Interfaces that carry the same groups, and so are judged alike. */
export interface InterfaceGroup {
  readonly groups: readonly GroupName[];
  readonly interfaces: readonly { readonly instance: InstanceName; readonly pattern: string }[];
}

/** An end that is not an interface of the policy. */
export type ExternalEndpoint =
  /** Any address that no rule names. */
  | { readonly kind: 'anyone' }
  | { readonly kind: 'addressGroup'; readonly name: AddressGroupName }
  | { readonly kind: 'interval'; readonly interval: Interval };

/** One end of an edge: an interface group, by its index among them, or an external endpoint. */
export type Endpoint = { readonly kind: 'interfaceGroup'; readonly group: number } | ExternalEndpoint;

/** A remote that a rule which denies names. */
export type DeniedRemote =
  | Exclude<ExternalEndpoint, { readonly kind: 'anyone' }>
  | { readonly kind: 'securityGroup'; readonly name: GroupName };

/** Every address that no rule names. */
export const ANYONE = { kind: 'anyone' } as const;
