import { TABLE } from '#core/translate/5-render/names.ts';
import { createOtherTables, type OtherRules } from '#kernel/nftables/other-tables.ts';

/** Reads the tables of other programs on this host; undefined if this program may not. */
export async function readOtherChains(): Promise<OtherRules | undefined> {
  const tables = createOtherTables(TABLE);
  try {
    return await tables.read();
  } finally {
    tables.close();
  }
}
