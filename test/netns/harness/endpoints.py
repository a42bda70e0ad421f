"""The servers and clients of state tests, and what they report."""

import errno
import selectors
import socket
import struct
import time

RECEIVE_SIZE = 1 << 16


def now():
    """CLOCK_MONOTONIC in milliseconds, which every process of the machine shares."""
    return time.monotonic_ns() / 1e6


def socket_address(family, address, port):
    """The address tuple of `address`, whose zone (`fe80::1%eth0`) is honoured."""
    return socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][4]


def open_socket(kind, address, request):
    """A socket of `address`'s family, bound to the source address, port and device that the request names."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if 'device' in request:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, request['device'].encode())
    anywhere = '::' if family == socket.AF_INET6 else '0.0.0.0'
    sock.bind(socket_address(family, request.get('source', anywhere), request.get('sourcePort', 0)))
    sock.setblocking(False)
    return sock


class Count:
    """How much went one way, and when the last of it did."""

    def __init__(self):
        self.bytes = self.messages = 0
        self.last = None

    def add(self, size):
        self.bytes += size
        self.messages += 1
        self.last = now()

    def report(self):
        return {'bytes': self.bytes, 'messages': self.messages, 'last': self.last}


class Endpoint:
    """A server with all the connections it took, or a client."""

    def __init__(self, loop, request):
        self.loop = loop
        self.mode = request.get('mode', 'silent')
        self.interval = request.get('interval', 10)
        self.payload = b'x' * request.get('size', 32)
        self.received, self.sent = Count(), Count()
        self.listener = None
        self.sockets = []
        self.partners = set()
        self.accepted = 0
        self.error = None

    def listen(self, sock):
        """Takes connections on `sock` from now on."""
        sock.listen(128)
        self.listener = sock
        self.loop.selector.register(sock, selectors.EVENT_READ, self.accept)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            self.accepted += 1
            self.converse(sock)

    def converse(self, sock):
        """Reads from a connected stream from now on and, if chatty, writes to it."""
        self.sockets.append(sock)
        self.loop.selector.register(sock, selectors.EVENT_READ, lambda: self.read_stream(sock))
        if self.mode == 'chatty':
            self.repeat(sock, None)

    def exchange(self, sock):
        """Reads datagrams from now on and, if chatty, sends them to the partner that `sock` is connected to."""
        self.sockets.append(sock)
        self.loop.selector.register(sock, selectors.EVENT_READ, lambda: self.read_datagrams(sock))
        if self.mode == 'chatty':
            self.repeat(sock, None)

    def read_stream(self, sock):
        try:
            data = sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            return
        except OSError as failure:
            self.fail(failure)
            data = b''
        if not data:
            self.drop(sock)
            return
        self.received.add(len(data))
        if self.mode == 'echo':
            self.send(sock, data, None)

    def read_datagrams(self, sock):
        while True:
            try:
                data, partner = sock.recvfrom(RECEIVE_SIZE)
            except BlockingIOError:
                return
            except OSError as failure:
                self.fail(failure)
                return
            self.received.add(len(data))
            if self.mode == 'echo':
                self.send(sock, data, partner)
            elif self.mode == 'push' and partner not in self.partners:
                self.partners.add(partner)
                self.repeat(sock, partner)

    def send(self, sock, data, partner):
        try:
            size = sock.send(data) if partner is None else sock.sendto(data, partner)
        except BlockingIOError:
            return
        except OSError as failure:
            # A datagram refused by a firewall (EPERM) or answered by an ICMP error ends nothing; a broken stream does.
            self.fail(failure)
            if sock.type == socket.SOCK_STREAM:
                self.drop(sock)
            return
        self.sent.add(size)

    def write(self, size):
        """Sends `size` bytes, once, to each partner there is."""
        for sock in list(self.sockets):
            for partner in self.partners or [None]:
                self.send(sock, b'x' * size, partner)

    def repeat(self, sock, partner):
        def beat():
            if sock in self.sockets:
                self.send(sock, self.payload, partner)
                self.loop.after(self.interval, beat)

        beat()

    def fail(self, failure):
        self.error = errno.errorcode.get(failure.errno, str(failure))

    def drop(self, sock):
        if sock in self.sockets:
            self.sockets.remove(sock)
            self.loop.forget(sock)
            sock.close()

    def report(self):
        return {
            'received': self.received.report(),
            'sent': self.sent.report(),
            'accepted': self.accepted,
            'open': len(self.sockets),
            'error': self.error,
        }

    def close(self, reset):
        """Ends all connections; by a TCP reset if `reset`, so that nothing is sent again afterwards."""
        if self.listener is not None:
            self.loop.forget(self.listener)
            self.listener.close()
        for sock in list(self.sockets):
            if reset and sock.type == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            self.drop(sock)
