import type { BindingOrigin, HostInterface, HostState } from '#core/model/policy/host.ts';
import { patternMatches } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { InterfaceBinding } from '#core/model/policy/policy.ts';

/** A binding by the kernel's name of an interface, where the policy has another name. */
export interface KernelNamed extends InterfaceBinding {
  readonly by?: BindingOrigin | undefined;
}

/**
 * The bindings of an instance, with one more for each interface that the policy names only indirectly, since packets carry
 * the kernel's name alone: by an alternative name, which comes before globs; or, for a member of a VRF that nothing else
 * names, by the VRF, since what the host sends leaves under the member's name.
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

/** The binding of the interface `name`: that of the exact name, else of the glob with the longest beginning. */
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
