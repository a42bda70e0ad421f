"""Connects by TCP, forges a reset of each connection when told to, and goes on speaking as if nothing had happened.

Arguments are ADDRESS PORT pairs. Says `up` when all are connected; a line on standard input brings the resets about.
The reset is one that the server's kernel does not see behind a firewall that drops it, and conntrack believes.
"""
import socket
import struct
import sys
import time

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
REPAIR_ON, REPAIR_OFF_WITHOUT_PROBE, SEND_QUEUE = 1, -1, 2
RESET = 4
SECONDS_AT_MOST = 30


def next_sequence(sock):
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_ON)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE)
    sequence = sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_WITHOUT_PROBE)
    return sequence & 0xFFFFFFFF


def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def reset(sock):
    family = sock.family
    (local, local_port), (remote, remote_port) = sock.getsockname()[:2], sock.getpeername()[:2]
    ends = socket.inet_pton(family, local) + socket.inet_pton(family, remote)
    segment = struct.pack('!HHLLBBHHH', local_port, remote_port, next_sequence(sock), 0, 5 << 4, RESET, 0, 0, 0)
    pseudo = ends + struct.pack('!LL', len(segment), socket.IPPROTO_TCP)
    segment = segment[:16] + struct.pack('!H', checksum(pseudo + segment)) + segment[18:]
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.sendto(segment, (remote, 0))


def main():
    ends = list(zip(sys.argv[1::2], map(int, sys.argv[2::2])))
    socks = [socket.create_connection(end, 5) for end in ends]
    for sock in socks:
        sock.sendall(b'x')
    print('up', flush=True)
    sys.stdin.readline()
    for sock in socks:
        reset(sock)
        sock.setblocking(False)
    print('reset', flush=True)
    end = time.monotonic() + SECONDS_AT_MOST
    while time.monotonic() < end:
        for sock in socks:
            for act in (lambda: sock.send(b'again'), lambda: sock.recv(65536)):
                try:
                    act()
                except OSError:
                    pass
        time.sleep(0.05)


main()
