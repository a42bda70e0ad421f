import type { InForce } from '#core/model/nft/in-force.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { Nft } from './nft.ts';

/** The names of our objects in the kernel, which the rendering phase decides. */
export interface TableNames {
  readonly table: string;
  readonly appliedSet: string;
  /** Sets that stay from one generation to the next. */
  readonly keptSets: readonly string[];
  readonly baseChains: readonly string[];
  parseGeneration(name: string): number | undefined;
  parseApplied(comment: string): { readonly generation: number; readonly contentHash: string } | undefined;
}

/** Reads the names of our objects in the kernel, without listing big sets; undefined if our table does not exist. */
export async function readInForce(nft: Nft, names: TableNames): Promise<InForce | undefined> {
  const [family = '', table = ''] = names.table.split(' ');
  // `list table` reads every element of every set first, even in terse form; these commands do not.
  const chains = objectsOf(await nft.list(['chains', family]), { table, kind: 'chain' });
  const sets = objectsOf(await nft.list(['sets', family]), { table, kind: 'set' });
  const maps = objectsOf(await nft.list(['maps', family]), { table, kind: 'map' });
  if (chains === undefined || sets === undefined || maps === undefined) return undefined;
  const applied = sets.includes(names.appliedSet) ? await readApplied(nft, names) : undefined;
  const ourSets = sets.filter((name) => !names.keptSets.includes(name));
  const ourChains = chains.filter((name) => !names.baseChains.includes(name));
  const generations = [...ourSets, ...maps, ...ourChains].map((name) => names.parseGeneration(name) ?? 0);
  return {
    // An interrupted change can have left objects of a generation that never came into force.
    generation: generations.reduce((newest, generation) => Math.max(newest, generation), applied?.generation ?? 0),
    contentHash: applied?.contentHash ?? 'unknown',
    rendered: undefined,
    labels: 'unknown',
    sets: ourSets,
    maps,
    chains: ourChains,
  };
}

async function readApplied(
  nft: Nft,
  names: TableNames,
): Promise<{ generation: number; contentHash: string } | undefined> {
  const text = await nft.listElements(`${names.table} ${names.appliedSet}`);
  const comment = /elements = \{[^}]*comment "([^"]*)"/.exec(text ?? '')?.[1];
  return comment === undefined ? undefined : names.parseApplied(comment);
}

/** The names of the table's objects of one kind; undefined if the listing does not contain the table. */
function objectsOf(
  listing: string | undefined,
  { table, kind }: { readonly table: string; readonly kind: 'chain' | 'set' | 'map' },
): string[] | undefined {
  let inTable = false;
  let found = false;
  const objects: string[] = [];
  for (const line of (listing ?? '').split('\n')) {
    const opened = /^table [a-z0-9]+ ([^ ]+) \{/.exec(line);
    if (opened !== null) {
      inTable = opened[1] === table;
      found ||= inTable;
      continue;
    }
    const object = inTable ? /^\t(chain|set|map) ([^ ]+) \{/.exec(line) : null;
    if (object?.[1] === kind && object[2] !== undefined) objects.push(object[2]);
  }
  return found ? objects : undefined;
}

/** A script that removes our table, if it exists, and nothing else. */
export function clearScript(table: string): Script {
  return [`add table ${table}`, `delete table ${table}`].map((text) => ({ text, span: undefined }));
}
