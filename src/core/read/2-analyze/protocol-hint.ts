import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { numberedProtocol, PROTOCOL_WORDS } from '#core/model/policy/protocol-lookup.ts';
import { servicePort } from './service-ports.ts';

/** What other tools write for every protocol. */
const ALL: readonly string[] = ['any', '*', '-1', 'ip', 'every'];

/** What to write instead of an unknown protocol. */
export function protocolHint(text: string): string {
  const lower = text.trim().toLowerCase();
  if (PROTOCOL_WORDS.includes(lower)) return `write \`${lower}\``;
  if (ALL.includes(lower)) return 'write `all` for every protocol, or leave `protocol` out';
  if (/^(?:icmp-?v?6|ipv6-icmp)$/.test(lower)) return 'write `protocol: icmp` with `type: ipv6`';
  const number = numberedProtocol(lower);
  if (number !== undefined) return `write its number: \`protocol: ${number}\``;
  const several = lower.split(/[^a-z]+/).filter((word) => word !== '');
  if (several.length > 1 && several.every((word) => PROTOCOL_WORDS.includes(word)))
    return `write a rule for each: ${several.map((word) => `\`protocol: ${word}\``).join(', ')}`;
  const port = servicePort(lower);
  if (port !== undefined) return `it is a service: write \`protocol: tcp\` (or \`udp\`) with \`ports: ${port}\``;
  const near = didYouMean(lower, PROTOCOL_WORDS);
  return near === undefined
    ? `write ${PROTOCOL_WORDS.join(', ')} or a protocol number 0 to 255`
    : `did you mean \`${near}\`?`;
}
