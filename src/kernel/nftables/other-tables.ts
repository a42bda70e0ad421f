import type { OtherChain, PublishedPort } from '#core/model/nft/other-table.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import { NftError } from '#kernel/errors.ts';
import type { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { attributeText, messageAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { type BaseChain, readBaseChains } from './base-chains.ts';
import { readGeneration } from './generation.ts';
import { NFT_MSG_GETRULE, NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE, nftables } from './nftables-messages.ts';
import { type Redirect, redirectIn } from './redirects.ts';
import { readSetPorts } from './set-ports.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** Hooks at which other programs' rules meet the packets that ours decide on. */
const HOOKS: ReadonlySet<string> = new Set(['ingress', 'prerouting', 'input', 'output', 'postrouting']);

/** The kernel's names of anonymous sets, such as in `tcp dport { 80, 443 }`. */
const ANONYMOUS_SET = /^__set[0-9]+$/;

/** Beyond this many port sets, their content is left out. */
const MAX_SETS_READ = 100;

/** The rules of other programs that the host's own packets meet. */
export interface OtherRules {
  /** Filter chains, which can drop packets that ours accept, and NAT chains, which can redirect them. */
  readonly chains: readonly OtherChain[];
  /** The ports that NAT rules redirect before rules of the input hook see the packets. */
  readonly publishedPorts: readonly PublishedPort[];
}

/** The tables of other programs. */
export interface OtherTables {
  /** What is in the tables now; undefined if the kernel does not answer. Reads again only if a table has changed. */
  read(): Promise<OtherRules | undefined>;
  close(): void;
}

/** All tables but `ours`, over a socket of its own: no program is started, and nothing else waits for the answer. */
export function createOtherTables(ours: string): OtherTables {
  const socket = new NetfilterSocket();
  let last: { readonly generation: number; readonly rules: OtherRules } | undefined;
  return {
    async read() {
      try {
        // INVARIANT: the generation is read first: a change during the read has another generation, and is read next time.
        const generation = await readGeneration(socket);
        if (last?.generation !== generation) last = { generation, rules: await readOtherRules(socket, ours) };
        return last.rules;
      } catch (error) {
        if (error instanceof NftError) return undefined;
        throw error;
      }
    },
    close: () => socket.close(),
  };
}

async function readOtherRules(socket: NetfilterSocket, ours: string): Promise<OtherRules> {
  const chains = (await readBaseChains(socket)).filter(
    ({ table, hook, type }) => table !== ours && HOOKS.has(hook) && (type !== 'nat' || hook === 'prerouting'),
  );
  const natTables = new Map(chains.filter(({ type }) => type === 'nat').map((chain) => [chain.table, chain]));
  const publishedPorts: PublishedPort[] = [];
  let setsLeft = MAX_SETS_READ;
  for (const chain of natTables.values()) {
    for (const { protocol, ports, to } of await readRedirects(socket, chain)) {
      const isAnonymous = 'set' in ports && ANONYMOUS_SET.test(ports.set);
      if (isAnonymous) setsLeft -= 1;
      const port = isAnonymous && setsLeft < 0 ? '{ ... }' : await portsText(socket, chain, ports);
      publishedPorts.push({ table: chain.table, protocol, port, to });
    }
  }
  return { chains: chains.map(({ family: _, ...chain }) => chain), publishedPorts };
}

async function readRedirects(socket: NetfilterSocket, { family, table }: BaseChain): Promise<readonly Redirect[]> {
  const redirects: Redirect[] = [];
  const name = nameOf(table);
  const attributes = (writer: MessageWriter): void => writer.text(NFTA_RULE_TABLE, name);
  await socket.dump({ type: nftables(NFT_MSG_GETRULE), family, attributes }, ({ data }) => {
    let isOfTable = false;
    for (const { type, value } of messageAttributes(data)) {
      if (type === NFTA_RULE_TABLE) isOfTable = attributeText(value) === name;
      const redirect = type === NFTA_RULE_EXPRESSIONS && isOfTable ? redirectIn(value) : undefined;
      if (redirect !== undefined) redirects.push(redirect);
    }
  });
  return redirects;
}

/** Ports as nft prints them: `80`, `8000-8010`, `{ 80, 443 }`, `@ports`. */
async function portsText(
  socket: NetfilterSocket,
  { family, table }: BaseChain,
  ports: Redirect['ports'],
): Promise<string> {
  if (!('set' in ports)) return rangesText(ports);
  if (!ANONYMOUS_SET.test(ports.set)) return `@${ports.set}`;
  const ranges = await readSetPorts(socket, { family, table: nameOf(table), set: ports.set });
  return `{ ${ranges.length === 0 ? '...' : ranges.map(rangeText).join(', ')} }`;
}

function rangesText(ranges: readonly PortRange[]): string {
  const texts = ranges.map(rangeText);
  return texts.length === 1 ? (texts[0] ?? '') : `{ ${texts.join(', ')} }`;
}

function rangeText({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}

function nameOf(table: string): string {
  return table.slice(table.indexOf(' ') + 1);
}
