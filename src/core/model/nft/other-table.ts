/** A base chain of another program's table. */
export interface OtherChain {
  /** Family and name: `ip filter`. */
  readonly table: string;
  readonly chain: string;
  /** `filter`, `nat` or `route`. */
  readonly type: string;
  readonly hook: string;
  /** The verdict for packets that no rule of the chain decides on. */
  readonly policy: 'accept' | 'drop';
  /** The programs known to make such tables: `ufw`, `firewalld`, `Docker`; empty if unknown. */
  readonly madeBy: readonly string[];
}

/** A port of this host that another table redirects, bypassing our rules. */
export interface PublishedPort {
  /** Family and name: `ip nat`. */
  readonly table: string;
  readonly protocol: string;
  /** As nft has it: `8080`, `8000-8010`. */
  readonly port: string;
  /** The target; null if nft does not print it. */
  readonly to: string | null;
}
