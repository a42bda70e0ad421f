"""Acts inside one network namespace for a measurement: sends prepared packets, answers them, forgets flows.

Reads one JSON request a line, answers each with one JSON line. Python because users' machines have no C compiler;
what has to be fast is one sendmmsg of many prepared frames, which costs the same from any language.
"""

import ctypes
import ipaddress
import json
import os
import socket
import statistics
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
NETLINK_NETFILTER = 12
SO_BINDTODEVICE = 25

# On 64-bit Linux: struct iovec, and struct mmsghdr with nothing but its iovec.
IOVEC = struct.Struct("=QQ")
MMSGHDR = struct.Struct("=QIxxxxQQQQixxxxIxxxx")

vectors = {}
senders = {}
held = {}


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def folded(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(request, index):
    """The index-th packet: no two have address and port alike until all ports are used, unless `same` is asked for."""
    index = 0 if request.get("same") else index
    sources = request.get("sources", 4096)
    source = ipaddress.ip_address(request["source"]) + index % sources
    destination = ipaddress.ip_address(request["destination"])
    ports = struct.pack("!HH", request["sourcePort"] + index // sources, request["port"])
    if request["protocol"] == 17:
        head, tail = ports + struct.pack("!H", 8 + 18), bytes(18)
        at = 6
    else:
        head, tail = ports + struct.pack("!IIBBH", index, 0, 5 << 4, 2, 64240), struct.pack("!H", 0)
        at = 16
    length = len(head) + 2 + len(tail)
    pseudo = source.packed + destination.packed + struct.pack("!II", length, request["protocol"])
    checksum = folded(ones_sum(pseudo + head + tail)) or 0xFFFF
    payload = (head + tail)[:at] + struct.pack("!H", checksum) + (head + tail)[at:]
    if source.version == 4:
        top = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, index & 0xFFFF, 0, 64, request["protocol"])
        ends = source.packed + destination.packed
        packet = top + struct.pack("!H", folded(ones_sum(top + ends))) + ends + payload
        kind = 0x0800
    else:
        packet = struct.pack("!IHBB", 6 << 28, length, request["protocol"], 64)
        packet += source.packed + destination.packed + payload
        kind = 0x86DD
    mac = bytes.fromhex(request["hostMac"].replace(":", "")) + bytes.fromhex(request["peerMac"].replace(":", ""))
    return mac + struct.pack("!H", kind) + packet


def prepare(request):
    """Builds the frames and the vector that sendmmsg takes, so that sending them is one system call for many."""
    frames = [frame(request, index) for index in range(request["count"])]
    size = len(frames[0])
    data = ctypes.create_string_buffer(b"".join(frames), size * len(frames))
    base = ctypes.addressof(data)
    blocks = b"".join(IOVEC.pack(base + i * size, size) for i in range(len(frames)))
    iovecs = ctypes.create_string_buffer(blocks, len(blocks))
    first = ctypes.addressof(iovecs)
    headers = b"".join(MMSGHDR.pack(0, 0, first + i * IOVEC.size, 1, 0, 0, 0, 0) for i in range(len(frames)))
    vector = ctypes.create_string_buffer(headers, len(headers))
    vectors[request["name"]] = (len(frames), vector, iovecs, data)
    return {}


def sender(interface):
    if interface not in senders:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        opened.bind((interface, 0))
        senders[interface] = opened
    return senders[interface].fileno()


def transmit(fd, vector, start, count):
    """Sends frames; a veth delivers each to the other end, through all its rules, before the next is taken up."""
    address = ctypes.addressof(vector) + start * MMSGHDR.size
    while count > 0:
        sent = LIBC.sendmmsg(fd, ctypes.c_void_p(address), count, 0)
        if sent < 0:
            raise OSError(ctypes.get_errno(), "sendmmsg")
        address += sent * MMSGHDR.size
        count -= sent


def backlog_losses():
    with open("/proc/net/softnet_stat") as stat:
        return sum(int(line.split()[1], 16) for line in stat)


def send(request):
    """Sends frames in portions for about so long, and tells the median of the portions' nanoseconds a packet."""
    total, vector, *_ = vectors[request["name"]]
    fd = sender(request["interface"])
    clock = time.perf_counter_ns
    lost = backlog_losses()
    warm = 16
    began = clock()
    transmit(fd, vector, 0, warm)
    estimate = max((clock() - began) / warm, 200)
    portion = int(min(256, max(16, 1_000_000 / estimate)))
    most = min(total, warm + max(4 * portion, int(request["milliseconds"] * 1_000_000 / estimate)))
    taken = []
    position = warm
    while position + portion <= most:
        began = clock()
        transmit(fd, vector, position, portion)
        taken.append((clock() - began) / portion)
        position += portion
    if backlog_losses() != lost:
        raise RuntimeError("the receiving end could not keep up: packets were lost before the rules")
    return {"nanoseconds": statistics.median(taken), "packets": position}


def flush(_request):
    """Makes this namespace forget all flows, as `conntrack -F` does."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 1 | 4, 1, 0, 0, 0, 0))
        error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
        # A kernel that has not begun to track flows says that it has none.
        if error not in (0, -2):
            raise OSError(-error, "flush of conntrack")
    return {}


def arrived(_request):
    """How many packets got past every rule to TCP or UDP; a UDP socket counts those that it has no room for."""
    lines = open("/proc/self/net/snmp").read().splitlines()
    tables = {}
    for names, values in zip(lines[::2], lines[1::2]):
        label, *keys = names.split()
        tables[label] = dict(zip(keys, map(int, values.split()[1:])))
    six = dict(line.split() for line in open("/proc/self/net/snmp6"))
    # TCP counts both families in one.
    return {"udp": tables["Udp:"]["RcvbufErrors"] + int(six["Udp6RcvbufErrors"]), "tcp": tables["Tcp:"]["InSegs"]}


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(request):
    """Opens a UDP socket with room for next to nothing, so that the socket's cost stays small and alike."""
    opened = socket.socket(family_of(request["address"]), socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    opened.bind((request["address"], request["port"]))
    opened.settimeout(2)
    held[request["name"]] = opened
    return {}


def answer(request):
    """Answers one datagram, after which the flow is established."""
    opened = held[request["name"]]
    data, source = opened.recvfrom(2048)
    opened.sendto(data[:1], source)
    return {}


def greet(request):
    """Opens a flow from this end."""
    held[request["name"]].sendto(b"x", (request["address"], request["port"]))
    return {}


def close(request):
    held.pop(request["name"]).close()
    return {}


def listen(request):
    server = socket.socket(family_of(request["address"]), socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((request["address"], request["port"]))
    server.listen(1)
    server.settimeout(5)
    held[request["name"]] = server
    return {}


def drain(request):
    """Receives one connection to its end and tells how fast it came, from the first byte to the last."""
    connection, _ = held[request["name"]].accept()
    connection.settimeout(5)
    buffer = bytearray(1 << 20)
    received = 0
    began = time.perf_counter()
    while count := connection.recv_into(buffer):
        received += count
    seconds = time.perf_counter() - began
    connection.close()
    return {"megabitsPerSecond": received * 8 / seconds / 1e6}


def pour(request):
    """Sends for so long over one TCP connection that leaves by the interface told."""
    client = socket.socket(family_of(request["address"]), socket.SOCK_STREAM)
    client.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, request["interface"].encode())
    client.bind((request["source"], 0))
    client.settimeout(5)
    client.connect((request["address"], request["port"]))
    data = bytes(1 << 18)
    end = time.perf_counter() + request["seconds"]
    while time.perf_counter() < end:
        client.sendall(data)
    client.close()
    return {}


def save(request):
    """Saves a file as editors do, by renaming over it, and times until so many transactions of nft are committed.

    Asking for the generation is all that is done meanwhile: to be told of events would make the commits slower.
    """
    with open(request["file"] + ".new", "w") as written:
        written.write(request["text"])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        wanted = generation(netlink) + request["transactions"]
        began = time.perf_counter()
        os.rename(request["file"] + ".new", request["file"])
        while generation(netlink) < wanted:
            if time.perf_counter() - began > 60:
                raise TimeoutError("the change never came")
            time.sleep(0.0002)
        return {"milliseconds": (time.perf_counter() - began) * 1_000}


def generation(netlink):
    """How many transactions nftables has committed in this namespace."""
    netlink.send(struct.pack("=IHHIIBBH", 20, 10 << 8 | 16, 1, 1, 0, 0, 0, 0))
    # The first attribute of the answer is the number, in network order.
    return struct.unpack_from("!I", netlink.recv(4096), 24)[0]


VERBS = {
    verb.__name__: verb
    for verb in (prepare, send, flush, arrived, udp, answer, greet, close, listen, drain, pour, save)
}

if sys.argv[1:] == ["pinned"]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply = {"ok": VERBS[request["verb"]](request)}
    except Exception as error:  # Whatever it is, the one who asked is told.
        reply = {"error": f"{request['verb']}: {error!r}"}
    print(json.dumps(reply), flush=True)
