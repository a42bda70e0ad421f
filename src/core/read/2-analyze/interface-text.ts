/** IFNAMSIZ leaves 15 bytes for a name; nft lets a glob have as many, its `*` included. */
const MAX_NAME_LENGTH = 15;

/** Names that the kernel reserves: directories of /proc/sys/net (net/ipv4/devinet.c), and paths. */
const RESERVED: readonly string[] = ['all', 'default', '.', '..'];

const GLOB_HELP = "a glob is a name's beginning followed by one `*`, such as `ens*`";

/** Why a text is neither an interface's name nor a glob; undefined if it is one. */
export function whyNoInterface(pattern: string): { readonly message: string; readonly help: string } | undefined {
  const message = `\`${pattern}\` is not an interface`;
  // `ip link` prints the interface that another one is on, or its other end, behind an `@`.
  const [beforeAt = '', ...afterAt] = pattern.split('@');
  if (beforeAt !== '' && afterAt.join('@') !== '') {
    return {
      message,
      help: `the name ends before the \`@\` that \`ip link\` prints, so it is \`${beforeAt}\``,
    };
  }
  const [beforeColon = ''] = pattern.split(':');
  if (/^[^:\s/]+:[^:\s/]+$/.test(pattern)) {
    return {
      message,
      help: `it is the label of an address, and \`${beforeColon}\` is the interface: its groups cover the traffic of all its addresses`,
    };
  }
  if (RESERVED.includes(pattern))
    return { message, help: 'the kernel reserves this name; `*` matches every interface' };
  if (pattern.indexOf('*') < pattern.length - 1 && /[*?[]/.test(pattern)) return { message, help: GLOB_HELP };
  if (pattern.endsWith('*') && pattern.length > MAX_NAME_LENGTH) {
    const name = pattern.slice(0, -1);
    return {
      message: `\`${pattern}\` is too long for a glob`,
      help:
        name.length === MAX_NAME_LENGTH
          ? `a name has at most ${MAX_NAME_LENGTH} characters, so only \`${name}\` begins so: name it without the \`*\``
          : `a name has at most ${MAX_NAME_LENGTH} characters, so none begins so`,
    };
  }
  if (pattern.length > MAX_NAME_LENGTH)
    return { message, help: `a name has at most ${MAX_NAME_LENGTH} characters, as \`ip link\` shows it` };
  return /^(?:[A-Za-z0-9_.@+=~-]+|[A-Za-z0-9_.@+=~-]*\*)$/.test(pattern)
    ? undefined
    : {
        message,
        help: 'a name has letters, digits and `_ . @ + = ~ -`, as `ip link` shows it; a glob, such as `ens*`, stands for one that has others',
      };
}
