import type { Script, ScriptLine } from '#core/model/nft/script.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { line, removal } from '#core/translate/5-render/script-lines.ts';

/**
 * Chains that keep packets untracked until rules decide on what conntrack tracks. The first rule that names a connection's
 * state turns conntrack on while the rest of its transaction is still being read. A segment that a server sends in those
 * milliseconds would make the host the opener of a flow opened from outside, and changes of the inbound rules would not
 * reach that flow.
 */
const UNTRACKED_CHAINS: readonly { readonly name: string; readonly hook: string }[] = [
  { name: 'untracked.in', hook: 'prerouting' },
  { name: 'untracked.out', hook: 'output' },
];

/** Creates the chains. */
export function untrackedScript(): Script {
  return [line(`table ${TABLE} {`), ...UNTRACKED_CHAINS.flatMap(untrackedChain), line('}')];
}

/** Removes the chains. */
export function untrackedRemoval(): Script {
  return removal({ chains: UNTRACKED_CHAINS.map(({ name }) => name), maps: [], sets: [] });
}

function untrackedChain({ name, hook }: { readonly name: string; readonly hook: string }): ScriptLine[] {
  return [
    line(`  chain ${name} {`),
    line(`    type filter hook ${hook} priority raw; policy accept;`),
    line('    notrack'),
    line('  }'),
  ];
}
