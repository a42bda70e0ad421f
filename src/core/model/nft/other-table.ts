/** A chain of somebody else's table. */
export interface OtherChain {
  /** Family and name: `ip filter`. */
  readonly table: string;
  readonly chain: string;
  /** `filter`, `nat` or `route`. */
  readonly type: string;
  readonly hook: string;
  /** What becomes of a packet that none of its rules decides on. */
  readonly policy: 'accept' | 'drop';
  /** The programs that are known to make tables like this one: `ufw`, `firewalld`, `Docker`; none if nobody's is known. */
  readonly madeBy: readonly string[];
}

/** A port of this host that another table sends somewhere else, past our rules. */
export interface PublishedPort {
  /** Family and name: `ip nat`. */
  readonly table: string;
  readonly protocol: string;
  /** As nft has it: `8080`, `8000-8010`. */
  readonly port: string;
  /** Where to; null where nft does not tell. */
  readonly to: string | null;
}
