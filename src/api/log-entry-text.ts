import { icmpText } from '#core/model/policy/icmp-names.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';
import type { LogEntry } from './log-entry.ts';

/** A logged packet in one line: `deny tcp 203.0.113.9:50000 -> 192.0.2.1:22 inbound on eth0, by rule web inbound[0], policy.yaml:25`. */
export function describeLogEntry(entry: LogEntry): string {
  const { verdict, protocol, src, dst, sport, dport, icmpType, icmpCode, direction, rule, platform } = entry;
  const icmp = icmpType === null ? '' : ` ${icmpText(protocol === 'icmp' ? 'ipv4' : 'ipv6', icmpType, icmpCode ?? 0)}`;
  const other = platform === undefined || platform === null ? 'no rule matches' : `by platform:${platform}, built in`;
  const by = rule === null ? other : `by rule ${formatRuleName(rule)}, ${rule.file}:${rule.line}`;
  return `${verdict} ${protocol}${icmp} ${end(src, sport)} -> ${end(dst, dport)} ${direction} on ${entry.interface ?? 'an interface that is gone'}, ${by}`;
}

function end(address: string, port: number | null): string {
  if (port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
