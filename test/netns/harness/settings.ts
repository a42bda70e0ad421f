/** Settings by their path under /proc/sys; those whose path begins with `?` may be missing in a kernel. */
export type Settings = Readonly<Record<string, string>>;

/**
 * What both ends of a link need, written before it is made: an interface takes the `default` values when it comes to be.
 * Nothing is judged by its source address, no address waits to be usable, no router is looked for.
 */
export const NODE_SETTINGS: Settings = {
  ...everyInterface('ipv4', {
    rp_filter: '0',
    accept_local: '1',
    log_martians: '0',
    forwarding: '0',
    send_redirects: '0',
    accept_redirects: '0',
  }),
  ...everyInterface('ipv6', {
    disable_ipv6: '0',
    accept_dad: '0',
    dad_transmits: '0',
    accept_ra: '0',
    autoconf: '0',
    router_solicitations: '0',
    forwarding: '0',
  }),
  // The global limit became a setting of each namespace in Linux 6.13.
  '?net/ipv4/icmp_msgs_per_sec': '1000000',
  '?net/ipv4/icmp_msgs_burst': '1000000',
  'net/ipv4/icmp_ratelimit': '0',
  'net/ipv6/icmp/ratelimit': '0',
};

function everyInterface(family: 'ipv4' | 'ipv6', values: Settings): Settings {
  return Object.fromEntries(
    ['all', 'default'].flatMap((which) =>
      Object.entries(values).map(([name, value]) => [`net/${family}/conf/${which}/${name}`, value]),
    ),
  );
}
