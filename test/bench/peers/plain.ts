import { iptablesScript, linearScript } from '../firewalls.ts';
import type { RulesSpec } from '../generated-policy.ts';
import { arePresent } from '../present.ts';
import { runIn, unload } from '../site.ts';
import type { Peer, PeerKind } from './peer.ts';

const LINEAR_RESET = 'add table inet linear\ndelete table inet linear\n';

/** A script that a program loads, the next one in its place. */
function plain(name: string, program: readonly string[], script: (spec: RulesSpec) => string | undefined): PeerKind {
  return {
    name,
    isPresent: () => arePresent(program.slice(0, 1)),
    open: async (_scratch, namespace) => {
      let kept = '';
      const load = (): number => runIn(namespace, program, { input: kept, limit: 60_000 }).milliseconds;
      const stop = async (): Promise<void> => unload(namespace);
      return {
        name,
        write: (spec) => {
          const text = script(spec);
          kept = text ?? '';
          return text !== undefined;
        },
        start: async () => load(),
        reload: load,
        stop,
        close: stop,
      } satisfies Peer;
    },
  };
}

/** One nft rule each in one table, which a transaction replaces. */
export const LINEAR = plain('nft -f, linear rules', ['nft', '-f', '-'], (spec) => LINEAR_RESET + linearScript(spec));

/** One iptables rule each; the program replaces the table in a transaction. */
export const IPTABLES = plain('iptables-nft-restore', ['iptables-nft-restore'], (spec) =>
  // Groups would need another program's sets.
  spec.groups || spec.family !== 'ipv4' ? undefined : iptablesScript(spec),
);
