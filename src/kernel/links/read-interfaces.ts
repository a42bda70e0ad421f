import { getSystemErrorName } from 'node:util';
import { Flags, FlagsGet, Protocol } from 'netlink/dist/constants.js';
import type { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { formatAttribute, formatMessage, type NetlinkMessage, parseAttributes } from 'netlink/dist/structs.js';
import { errorText } from '#core/diagnostics/error-text.ts';
import { type Address, addressFromBytes } from '#core/model/net/address.ts';
import type { HostInterface } from '#core/model/policy/host.ts';
import { dump } from '#kernel/netlink/dump.ts';
import { attributeText } from '#kernel/netlink/netlink-attributes.ts';
import { openRawSocket } from '#kernel/netlink/raw-socket.ts';

/** Why the interfaces could not be read or watched. */
export type NetlinkErrorKind = 'unavailable' | 'lost' | 'refused' | 'timeout' | 'inconsistent' | 'malformed';

/** A failure to read or to watch the interfaces. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly kind: NetlinkErrorKind;

  constructor(kind: NetlinkErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

// Kernel facts: include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h.
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFINFOMSG_BYTES = 16;
const IFADDRMSG_BYTES = 8;
const IFLA_IFNAME = 3;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;

const BUFFER_SIZES = { receiveBytes: 1 << 20, sendBytes: 1 << 16 };
const MAX_ATTEMPTS = 10;

/**
 * Reads the interfaces of this network namespace, loopback included, in order of index; each with its addresses of both
 * families, tentative and deprecated ones included, IPv4 before IPv6, ascending and without duplicates. Each of the two
 * questions to the kernel may take `timeoutMilliseconds`. Throws a NetlinkError.
 */
export async function readInterfaces(timeoutMilliseconds = 5_000): Promise<readonly HostInterface[]> {
  const links = new Map<number, Omit<HostInterface, 'addresses'>>();
  await dumpConsistently({ type: RTM_GETLINK, body: linkRequest(), timeoutMilliseconds }, (messages) => {
    for (const { type, data } of messages) {
      if (type !== RTM_NEWLINK || data[0] !== AF_UNSPEC) continue;
      const link = decodeLink(data);
      if (link !== undefined) links.set(link.index, link);
    }
  });
  const addresses = new Map<number, Address[]>();
  await dumpConsistently(
    { type: RTM_GETADDR, body: Buffer.alloc(IFADDRMSG_BYTES), timeoutMilliseconds },
    (messages) => {
      for (const { type, data } of messages) {
        if (type !== RTM_NEWADDR || (data[0] !== AF_INET && data[0] !== AF_INET6)) continue;
        const attributes = attributesOf(data, IFADDRMSG_BYTES);
        // On a point-to-point link IFA_ADDRESS is the peer's address and IFA_LOCAL ours (linux/if_addr.h).
        const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
        if (bytes === undefined) continue;
        const index = data.readUInt32LE(4);
        const ofInterface = addresses.get(index) ?? [];
        ofInterface.push(addressFromBytes(bytes));
        addresses.set(index, ofInterface);
      }
    },
  );
  return [...links.values()]
    .sort((a, b) => a.index - b.index)
    .map((link) => ({ ...link, addresses: sortedOnce(addresses.get(link.index) ?? []) }));
}

/** Decodes the interface of an RTM_NEWLINK message; undefined if it has no name. */
function decodeLink(data: Buffer): Omit<HostInterface, 'addresses'> | undefined {
  const attributes = attributesOf(data, IFINFOMSG_BYTES);
  const name = attributes.get(IFLA_IFNAME);
  if (name === undefined) return undefined;
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : attributesOf(info, 0).get(IFLA_INFO_KIND);
  // The other end of a veth, or the device below a macvlan, can be in another namespace, which has indices of its own.
  const isHere = !attributes.has(IFLA_LINK_NETNSID);
  return {
    index: data.readInt32LE(4),
    name: attributeText(name),
    altnames: altnamesOf(attributes.get(IFLA_PROP_LIST)),
    kind: kind === undefined ? undefined : attributeText(kind),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(0),
    lower: isHere ? attributes.get(IFLA_LINK)?.readUInt32LE(0) : undefined,
  };
}

function altnamesOf(properties: Buffer | undefined): readonly string[] {
  const names: string[] = [];
  parseAttributes(properties ?? Buffer.alloc(0), ({ type, data }) => {
    if (type === IFLA_ALT_IFNAME) names.push(attributeText(data));
  });
  return names.toSorted();
}

interface InterfaceQuestion {
  readonly type: number;
  readonly body: Buffer;
  readonly timeoutMilliseconds: number;
}

/** Hands `receive` the messages of a whole dump, and repeats a dump that a change interrupted. */
async function dumpConsistently(
  { type, body, timeoutMilliseconds }: InterfaceQuestion,
  receive: (messages: readonly NetlinkMessage[]) => void,
): Promise<void> {
  const deadline = performance.now() + timeoutMilliseconds;
  const question = Buffer.concat(
    formatMessage({ type, flags: Flags.REQUEST | FlagsGet.DUMP, seq: 1, port: 0, data: body }),
  );
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const remaining = deadline - performance.now();
    if (remaining <= 0) throw timedOut();
    const messages: NetlinkMessage[] = [];
    try {
      const { isInterrupted } = await dump(
        { socket: openRouteSocket(), question, timeoutMilliseconds: remaining, errors: { lost, refused, timedOut } },
        (message) => messages.push(message),
      );
      if (!isInterrupted) return receive(messages);
    } catch (cause) {
      if (cause instanceof NetlinkError) throw cause;
      throw new NetlinkError('malformed', `unreadable answer from the kernel: ${errorText(cause)}`, { cause });
    }
    await new Promise((resolve) => setTimeout(resolve, 2 ** attempt));
  }
  throw new NetlinkError(
    'inconsistent',
    `interfaces kept changing while they were read, ${MAX_ATTEMPTS} times in a row`,
  );
}

function openRouteSocket(): RawNetlinkSocket {
  try {
    return openRawSocket(Protocol.ROUTE, BUFFER_SIZES);
  } catch (cause) {
    throw new NetlinkError('unavailable', `cannot open a route netlink socket: ${errorText(cause)}`, { cause });
  }
}

function linkRequest(): Buffer {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(RTEXT_FILTER_SKIP_STATS);
  return Buffer.concat([Buffer.alloc(IFINFOMSG_BYTES), ...formatAttribute({ type: IFLA_EXT_MASK, data: mask })]);
}

function attributesOf(data: Buffer, headerBytes: number): ReadonlyMap<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  parseAttributes(data.subarray(headerBytes), (attribute) => attributes.set(attribute.type, attribute.data));
  return attributes;
}

function sortedOnce(addresses: readonly Address[]): readonly Address[] {
  const sorted = [...addresses].sort((a, b) => {
    if (a.family !== b.family) return a.family < b.family ? -1 : 1;
    return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
  });
  return sorted.filter((address, i) => {
    const previous = sorted[i - 1];
    return previous === undefined || previous.family !== address.family || previous.value !== address.value;
  });
}

function refused(errno: number): NetlinkError {
  return new NetlinkError('refused', `the kernel refused to list interfaces: ${getSystemErrorName(errno)}`);
}

function lost(cause: unknown): NetlinkError {
  return new NetlinkError('lost', `route netlink socket failed: ${errorText(cause)}`, { cause });
}

function timedOut(): NetlinkError {
  return new NetlinkError('timeout', 'the kernel did not answer in time');
}
