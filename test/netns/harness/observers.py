"""How a namespace's packets are seen: by nftables' `log` behind all other chains, or on the wire."""

import ctypes
import os
import socket
import struct

# Numbers of Linux's ABI that Python 3.11's socket module has no names for.
ETH_P_ALL = 3
NETLINK_NETFILTER = 12
PACKET_IGNORE_OUTGOING = 23
PACKET_STATISTICS = 6
SOL_PACKET = 263
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE = 1, 2
NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG = 4, 1
NFULA_CFG_CMD, NFULA_CFG_MODE, NFULA_CFG_QTHRESH = 1, 2, 5
NFULA_PAYLOAD = 9
NLM_F_REQUEST_ACK = 5

OBSERVER_BUFFER = 64 << 20
RECEIVE_SIZE = 1 << 17


def netlink_attribute(kind, data):
    return struct.pack('HH', 4 + len(data), kind) + data + b'\0' * (-len(data) % 4)


def netfilter_request(sock, message, resource, body):
    """Sends one nfnetlink request and waits for the kernel's word on it; raises OSError if it refuses."""
    payload = struct.pack('>BBH', 0, 0, resource) + body
    sock.send(struct.pack('IHHII', 16 + len(payload), message, NLM_F_REQUEST_ACK, 1, 0) + payload)
    code = struct.unpack_from('i', sock.recv(8192), 16)[0]
    if code:
        raise OSError(-code, os.strerror(-code))


def flush_conntrack():
    """Forgets every flow of this namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        netfilter_request(sock, (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, 0, b'')


class LogObserver:
    """What rules with `log group N` in this namespace saw: whole packets, from the IP header on."""

    def __init__(self, group):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, OBSERVER_BUFFER)
        config = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG
        netfilter_request(self.socket, config, group, netlink_attribute(NFULA_CFG_CMD, b'\1'))
        copy_whole_packet = struct.pack('>IBB', 0xFFFF, 2, 0)
        netfilter_request(self.socket, config, group, netlink_attribute(NFULA_CFG_MODE, copy_whole_packet))
        # Each packet is a message of its own: the kernel would else hold up to a second's worth back.
        netfilter_request(self.socket, config, group, netlink_attribute(NFULA_CFG_QTHRESH, struct.pack('>I', 1)))
        self.socket.setblocking(False)

    def arm(self):
        self.drain()

    def disarm(self):
        pass

    def lost(self):
        # A netlink socket without room says so by itself: the next receive fails with ENOBUFS.
        return 0

    def drain(self):
        """The packets that wait, oldest first."""
        packets = []
        while True:
            try:
                data = self.socket.recv(RECEIVE_SIZE)
            except BlockingIOError:
                return packets
            at = 0
            while at + 16 <= len(data):
                length = struct.unpack_from('I', data, at)[0]
                self._read(data[at + 20:at + length], packets)
                at += (length + 3) & ~3

    @staticmethod
    def _read(attributes, packets):
        at = 0
        while at + 4 <= len(attributes):
            length, kind = struct.unpack_from('HH', attributes, at)
            if kind == NFULA_PAYLOAD:
                packets.append(attributes[at + 4:at + length])
                return
            at += (length + 3) & ~3


class WireObserver:
    """What came in by one interface, before any hook: IP packets, without their Ethernet header."""

    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._filter(0)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, OBSERVER_BUFFER)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)

    def _filter(self, snapshot):
        # One instruction, `return snapshot`: 0 takes nothing, so that other tests' traffic cannot fill the buffer.
        program = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, snapshot))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack('HP', 1, ctypes.addressof(program)))

    def arm(self):
        self.drain()
        self.lost()
        self._filter(0xFFFFFFFF)

    def disarm(self):
        self._filter(0)

    def lost(self):
        """How many packets found no room since the last call."""
        return struct.unpack('II', self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def drain(self):
        """The packets that wait, oldest first."""
        packets = []
        while True:
            try:
                frame = self.socket.recv(RECEIVE_SIZE)
            except BlockingIOError:
                return packets
            if frame[12:14] in (b'\x08\x00', b'\x86\xdd'):
                packets.append(frame[14:])
