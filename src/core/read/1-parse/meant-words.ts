import { didYouMean } from '#core/diagnostics/did-you-mean.ts';

/** Words of clouds and other firewalls, in lower case, by the word of a policy. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  allow: ['accept', 'permit', 'pass', 'allowed', 'yes', 'true'],
  deny: ['drop', 'reject', 'block', 'refuse', 'discard', 'denied', 'no', 'false'],
  ipv4: ['inet', 'ip4', 'v4', 'ip', '4'],
  ipv6: ['inet6', 'ip6', 'v6', '6'],
  inbound: ['ingress', 'in', 'input'],
  outbound: ['egress', 'out', 'output'],
};

/** The hint for `found` where one of `words` is expected. */
export function wordHelp(found: string, words: readonly string[]): string | undefined {
  const lower = found.trim().toLowerCase();
  const same = words.find((word) => word.toLowerCase() === lower);
  if (same !== undefined) return `write \`${same}\``;
  const meant = words.find((word) => Object.hasOwn(SYNONYMS, word) && SYNONYMS[word]?.includes(lower));
  if (meant !== undefined)
    return lower === 'reject' ? `write \`${meant}\`: packets are dropped without an answer` : `write \`${meant}\``;
  if (words.includes('ipv4') && /^(?:any|all|both|dual|dualstack|\*)$/.test(lower))
    return 'leave `type` out to mean both';
  const near = didYouMean(found, words);
  return near === undefined ? undefined : `did you mean \`${near}\`?`;
}
