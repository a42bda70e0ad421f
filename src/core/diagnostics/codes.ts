/**
 * The catalogue of diagnostic codes: each names one kind of mistake, with the severity it always has.
 * Codes are a contract with scripts that read `sgctl check --json`: they are added, never renamed.
 */
export const DIAGNOSTIC_CODES = {
  // Phase 1, parse: the text, the YAML, the shape of the document.

  /** A policy file holds a policy: an empty or truncated one must never count as a policy that allows nobody. */
  'empty-file': 'error',
  /** A policy file has at most 16 million characters. */
  'file-too-large': 'error',
  /** A policy file is UTF-8 text without control characters, and so is every text in it. */
  'bad-character': 'error',
  /** A policy file is well-formed YAML 1.2 with text for keys. */
  'yaml-syntax': 'error',
  /** Well-formed YAML that its readers are known to understand differently. */
  'yaml-warning': 'warning',
  /** The only directive is `%YAML 1.2`: another version would change what plain values mean. */
  'yaml-directive': 'error',
  /** The only tags are those of the YAML 1.2 core schema. */
  'yaml-tag': 'error',
  /** An alias names an anchor before it that does not contain it, and all aliases together stay within bounds. */
  'yaml-alias': 'error',
  /** A policy file holds one YAML document. */
  'several-documents': 'error',
  /** A policy file nests at most 64 levels deep. */
  'too-deep': 'error',
  /** A mapping has each key once. */
  'duplicate-key': 'error',
  /** A mapping has only the keys its place in the policy allows. */
  'unknown-key': 'error',
  /** Inbound rules say `source`, outbound rules `destination`, management rules one of the two. */
  'wrong-remote-key': 'error',
  /** What a place in the policy needs is there; nothing is taken for granted that opens or closes traffic. */
  'missing-key': 'error',
  /** A value is of the type its place allows; an empty value never means any. */
  'wrong-type': 'error',
  /** A word is one of those its place allows, in the same case. */
  'bad-value': 'error',
  /** Numbers are whole and written in decimal digits: no sign, fraction, exponent, leading zero or other base. */
  'bad-number': 'error',
  /** A file's first errors are reported in full; this says how many more there are. */
  'too-many-errors': 'error',
  /** A file's first warnings are reported in full; this says how many more there are. */
  'too-many-warnings': 'warning',

  // Reading files.

  /** The policy file and its drop-ins can be read, and are files that only their owner can change. */
  'unreadable-file': 'error',
  /** A file in the drop-in directory that looks like a drop-in is one. */
  'file-not-read': 'warning',
  /** A list file can be read, and is a file that only its owner can change. */
  'list-file-unreadable': 'error',

  // Phase 2, analyze: what the words mean.

  /** A setting stands in one file of a policy. */
  'conflicting-setting': 'error',
  /** A group, address group or instance is defined once in all files of a policy. */
  'duplicate-name': 'error',
  /** Names have 1 to 64 letters, digits, `_`, `.` or `-`. */
  'bad-name': 'error',
  /** A rule or an interface names security groups that exist. */
  'unknown-group': 'error',
  /** A rule names address groups that exist. */
  'unknown-address-group': 'error',
  /** An assertion names an instance that exists. */
  'unknown-instance': 'error',
  /** `self` is the group a rule is in; management rules and assertions are in none. */
  'self-outside-group': 'error',
  /** Remotes, group entries and members are addresses, CIDRs or ranges of one family, low to high, without zone or mapping. */
  'bad-address': 'error',
  /** A CIDR with host bits set is taken for its network. */
  'host-bits': 'warning',
  /** Some packet has the remote that a rule names: 0.0.0.0 is one address, not every address. */
  'unreal-remote': 'warning',
  /** No packet comes from a multicast address, so it matches nothing as a member. */
  'multicast-member': 'warning',
  /** The protocol of an IPv6 packet is the one after its extension headers. */
  'extension-header': 'warning',
  /** A rule for both families gives ICMP types by name: numbers differ between the families. */
  'ambiguous-icmp': 'warning',
  /** A rule's type is the family of its remote. */
  'family-mismatch': 'error',
  /** Priorities are 1 to 100. */
  'bad-priority': 'error',
  /** A protocol is tcp, udp, icmp, gre, all or a number 0 to 255. */
  'bad-protocol': 'error',
  /** Ports are 1 to 65535, single, a range from low to high, or a list. */
  'bad-ports': 'error',
  /** Only tcp and udp have ports. */
  'ports-without-protocol': 'error',
  /** Only ICMP has ICMP types. */
  'icmp-without-protocol': 'error',
  /** ICMP types and codes are names the family knows, or numbers 0 to 255. */
  'bad-icmp': 'error',
  /** An interface is a name Linux allows, or a name's beginning followed by one `*`. */
  'bad-interface': 'error',
  /** An instance is matched by a host name or a machine id; `*` by neither. */
  'bad-host-match': 'error',
  /** A group is attached to an interface once. */
  'group-attached-twice': 'error',
  /** A host is one instance. */
  'host-claimed-twice': 'error',
  /** Loopback is never filtered. */
  'loopback-bound': 'warning',
  /** A member's addresses are known to the hosts whose rules name its group. */
  'unknown-member-addresses': 'warning',

  /** A list file that a rule uses has entries: emptied by mistake, it allows or denies nobody. */
  'empty-list': 'warning',

  /** What a policy asserts of its rules is true of them. */
  'assertion-broken': 'error',
  /** Assertions are proved in bounded time: an unproved one does not count as true. */
  'assertion-unproved': 'error',

  // Applying.

  /** The host is an instance of the policy. */
  'host-not-in-policy': 'error',
  /** The kernel accepts what the policy was translated to. */
  'kernel-refused': 'error',
} as const satisfies Record<string, 'error' | 'warning'>;

/** A code of the catalogue. */
export type DiagnosticCode = keyof typeof DIAGNOSTIC_CODES;
