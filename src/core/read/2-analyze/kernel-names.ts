import type { BindingOrigin, HostInterface, HostState } from '#core/model/policy/host.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { InterfaceBinding } from '#core/model/policy/policy.ts';

/** What judges an interface by the name that the kernel has for it, where the policy has another one. */
export interface KernelNamed extends InterfaceBinding {
  readonly by?: BindingOrigin | undefined;
}

/**
 * The bindings of an instance, with one more for each interface that the policy does not name by what the kernel calls it,
 * which alone packets are told by: one that it names by an alternative name, before globs; and a member of a VRF that
 * nothing else names, by what the policy says of the VRF, for what the host sends goes by the member's name.
 */
export function withKernelNames(
  bindings: readonly InterfaceBinding[],
  { interfaces }: HostState,
): readonly KernelNamed[] {
  const named = interfaces.filter(({ name }) => name !== 'lo' && exactly(bindings, [name]) === undefined);
  const vrfs = new Map(interfaces.filter(({ kind }) => kind === 'vrf').map((one) => [one.index, one]));
  const byAltname = named.flatMap((one) => bindAs(one, exactly(bindings, one.altnames ?? []), 'altname'));
  const all = [...bindings, ...byAltname];
  const byVrf = named
    .filter(({ name }) => bindingOf(all, name) === undefined)
    .flatMap((one) => {
      const vrf = one.master === undefined ? undefined : vrfs.get(one.master);
      return bindAs(one, vrf === undefined ? undefined : bindingOf(all, vrf.name), 'vrf');
    });
  return [...all, ...byVrf];
}

/** The binding that judges the interface `name`: the exact name, else the glob with the longest beginning. */
export function bindingOf<Bound extends InterfaceBinding>(bindings: readonly Bound[], name: string): Bound | undefined {
  if (name === 'lo') return undefined;
  const globs = bindings.filter(({ pattern }) => pattern.endsWith('*') && patternMatches(pattern, name));
  return exactly(bindings, [name]) ?? globs.toSorted((a, b) => b.pattern.length - a.pattern.length)[0];
}

function exactly<Bound extends InterfaceBinding>(
  bindings: readonly Bound[],
  names: readonly string[],
): Bound | undefined {
  return bindings.find(({ pattern }) => names.includes(pattern));
}

function bindAs(
  { name }: HostInterface,
  binding: KernelNamed | undefined,
  as: BindingOrigin['as'],
): readonly KernelNamed[] {
  if (binding === undefined) return [];
  return [
    { ...binding, pattern: name as InterfacePattern, by: { pattern: binding.by?.pattern ?? binding.pattern, as } },
  ];
}
