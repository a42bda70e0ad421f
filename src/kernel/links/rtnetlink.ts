import { getSystemErrorName } from 'node:util';
// The package's index loads nl80211, wireguard and the rest: 45 ms of start-up where these three files take 8. The
// package has no exports map and its version is pinned.
import { Flags, FlagsGet, MessageType, Protocol } from 'netlink/dist/constants.js';
import { RawNetlinkSocket } from 'netlink/dist/raw.js';
import {
  formatAttribute,
  formatMessage,
  type NetlinkMessage,
  parseAttributes,
  parseError,
  parseMessages,
} from 'netlink/dist/structs.js';
import { type Address, addressFromBytes } from '#core/model/net/address.ts';
import type { HostInterface } from '#core/model/policy/host.ts';

/** Why the kernel's interfaces could not be read, or changes of them not be heard of. */
export type NetlinkErrorKind = 'unavailable' | 'lost' | 'refused' | 'timeout' | 'inconsistent' | 'malformed';

/** A failure to read or to watch the kernel's interfaces. */
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

const RECEIVE_BUFFER_BYTES = 1 << 20;
const SEND_BUFFER_BYTES = 1 << 16;
const DUMP_ATTEMPTS = 10;
const KERNEL_PORT = 0;

/**
 * The interfaces of this network namespace, loopback included, in order of index; each with its own addresses of both
 * families, tentative and deprecated ones included, IPv4 before IPv6 and ascending, none twice.
 * Throws a NetlinkError. Each of two questions to the kernel is given `timeoutMilliseconds`.
 */
export async function readInterfaces(timeoutMilliseconds = 5_000): Promise<readonly HostInterface[]> {
  const links = new Map<number, Omit<HostInterface, 'addresses'>>();
  await dump({ type: RTM_GETLINK, body: linkRequest(), timeoutMilliseconds }, (messages) => {
    for (const { type, data } of messages) {
      if (type !== RTM_NEWLINK || data[0] !== AF_UNSPEC) continue;
      const link = decodeLink(data);
      if (link !== undefined) links.set(link.index, link);
    }
  });
  const addresses = new Map<number, Address[]>();
  await dump({ type: RTM_GETADDR, body: Buffer.alloc(IFADDRMSG_BYTES), timeoutMilliseconds }, (messages) => {
    for (const { type, data } of messages) {
      if (type !== RTM_NEWADDR || (data[0] !== AF_INET && data[0] !== AF_INET6)) continue;
      const attributes = attributesOf(data, IFADDRMSG_BYTES);
      // On a point-to-point link IFA_ADDRESS is the peer's address and IFA_LOCAL ours (linux/if_addr.h).
      const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
      if (bytes === undefined) continue;
      const index = data.readUInt32LE(4);
      const own = addresses.get(index) ?? [];
      own.push(addressFromBytes(bytes));
      addresses.set(index, own);
    }
  });
  return [...links.values()]
    .sort((a, b) => a.index - b.index)
    .map((link) => ({ ...link, addresses: sortedOnce(addresses.get(link.index) ?? []) }));
}

/** An interface as an RTM_NEWLINK tells of it; undefined where it tells no name. */
function decodeLink(data: Buffer): Omit<HostInterface, 'addresses'> | undefined {
  const attributes = attributesOf(data, IFINFOMSG_BYTES);
  const name = attributes.get(IFLA_IFNAME);
  if (name === undefined) return undefined;
  const info = attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : attributesOf(info, 0).get(IFLA_INFO_KIND);
  // The other end of a veth and what a macvlan is on can be in another namespace, whose indices are none of ours.
  const isHere = !attributes.has(IFLA_LINK_NETNSID);
  return {
    index: data.readInt32LE(4),
    name: textOfAttribute(name),
    altnames: altnamesOf(attributes.get(IFLA_PROP_LIST)),
    kind: kind === undefined ? undefined : textOfAttribute(kind),
    master: attributes.get(IFLA_MASTER)?.readUInt32LE(0),
    lower: isHere ? attributes.get(IFLA_LINK)?.readUInt32LE(0) : undefined,
  };
}

function altnamesOf(properties: Buffer | undefined): readonly string[] {
  const names: string[] = [];
  parseAttributes(properties ?? Buffer.alloc(0), ({ type, data }) => {
    if (type === IFLA_ALT_IFNAME) names.push(textOfAttribute(data));
  });
  return names.toSorted();
}

function textOfAttribute(data: Buffer): string {
  return data.toString('utf8').replace(/\0.*$/s, '');
}

interface DumpRequest {
  readonly type: number;
  readonly body: Buffer;
  readonly timeoutMilliseconds: number;
}

/** Hands `receive` a whole dump; repeats one that the kernel says was interrupted by a change. */
async function dump(request: DumpRequest, receive: (messages: readonly NetlinkMessage[]) => void): Promise<void> {
  const deadline = performance.now() + request.timeoutMilliseconds;
  for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt += 1) {
    const { messages, interrupted } = await dumpOnce(request, deadline);
    if (!interrupted) {
      try {
        receive(messages);
      } catch (cause) {
        throw new NetlinkError('malformed', `unreadable answer from the kernel: ${textOf(cause)}`, { cause });
      }
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 2 ** attempt));
  }
  throw new NetlinkError('inconsistent', `interfaces kept changing while they were read, ${DUMP_ATTEMPTS} times over`);
}

interface Dump {
  readonly messages: readonly NetlinkMessage[];
  readonly interrupted: boolean;
}

// Every dump has a socket of its own: notifications between the parts of an answer cannot be mistaken for parts, and
// an answer that comes after its timeout reaches nobody.
async function dumpOnce({ type, body }: DumpRequest, deadline: number): Promise<Dump> {
  const remaining = deadline - performance.now();
  if (remaining <= 0) throw new NetlinkError('timeout', 'the kernel did not answer in time');
  const socket = openRouteSocket();
  const messages: NetlinkMessage[] = [];
  let interrupted = false;
  let timer: NodeJS.Timeout | undefined;
  return new Promise<Dump>((resolve, reject) => {
    const lost = (cause: unknown): void =>
      reject(new NetlinkError('lost', `route netlink socket failed: ${textOf(cause)}`, { cause }));
    const expire = (): void => reject(new NetlinkError('timeout', 'the kernel did not answer in time'));
    // The kernel works on a dump within sendmsg and may wait there for the RTNL lock, the event loop with it. An answer
    // that is there by then still counts: it is read after timers and before immediates.
    timer = setTimeout(() => setImmediate(expire), remaining);
    socket.on('error', lost);
    socket.on('truncatedMessage', () => lost('answer truncated'));
    // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
    socket.on('message', (bytes, { port }) => {
      if (port !== KERNEL_PORT) return;
      try {
        for (const message of parseMessages(bytes)) {
          if ((message.flags & Flags.DUMP_INTR) !== 0) interrupted = true;
          if (message.type === MessageType.ERROR) return reject(refusal(parseError(message.data, 0).errno));
          if (message.type === MessageType.OVERRUN) return lost('data lost');
          if (message.type !== MessageType.DONE) messages.push(message);
          else if (message.data.length >= 4 && message.data.readInt32LE(0) < 0) {
            return reject(refusal(message.data.readInt32LE(0)));
          } else return resolve({ messages, interrupted });
        }
      } catch (cause) {
        reject(new NetlinkError('malformed', `unreadable answer from the kernel: ${textOf(cause)}`, { cause }));
      }
    });
    const flags = Flags.REQUEST | FlagsGet.DUMP;
    socket.send(formatMessage({ type, flags, seq: 1, port: 0, data: body }), {}, (error) => {
      if (error !== undefined) lost(error);
    });
  }).finally(() => {
    clearTimeout(timer);
    // Not from within a callback of the socket: the native half still uses its poll handle after the callback.
    setImmediate(() => socket.close());
  });
}

function openRouteSocket(): RawNetlinkSocket {
  try {
    return new RawNetlinkSocket(Protocol.ROUTE, {
      // The package's own choice is pid-based and clashes between containers that share a network namespace.
      localPort: 0,
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      sendBufferSize: SEND_BUFFER_BYTES,
    });
  } catch (cause) {
    throw new NetlinkError('unavailable', `cannot open a route netlink socket: ${textOf(cause)}`, { cause });
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

function refusal(errno: number): NetlinkError {
  return new NetlinkError(
    'refused',
    `the kernel refused to list interfaces: ${errno < 0 ? getSystemErrorName(errno) : errno}`,
  );
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
