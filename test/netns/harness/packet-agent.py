"""Sends, observes and converses inside one network namespace, by order of the tests.

Requests are JSON objects, one a line, on standard input: {"id", "verb", ...}. Each is answered once on standard
output by {"id", "ok": {...}} or {"id", "error": "..."}; answers may come out of order. Packets travel as base64.
The program ends, and every socket with it, when standard input ends. Times are CLOCK_MONOTONIC in milliseconds.
"""

import base64
import ctypes
import errno
import heapq
import itertools
import json
import os
import selectors
import socket

from endpoints import Endpoint, now, open_socket, socket_address
from observers import LogObserver, WireObserver, flush_conntrack

REQUEST_SIZE = 1 << 17
libc = ctypes.CDLL(None)


class Agent:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.order = itertools.count()
        self.handles = itertools.count(1)
        self.endpoints = {}
        self.observers = {}
        self.senders = {}
        self.input = b''

    def run(self):
        self.selector.register(0, selectors.EVENT_READ, self.read_requests)
        while True:
            wait = max(0, self.timers[0][0] - now()) / 1000 if self.timers else None
            for key, _ in self.selector.select(wait):
                # An earlier callback of this round may have closed this one's socket.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()
            while self.timers and self.timers[0][0] <= now():
                heapq.heappop(self.timers)[2]()

    def after(self, milliseconds, callback):
        heapq.heappush(self.timers, (now() + milliseconds, next(self.order), callback))

    def forget(self, sock):
        try:
            self.selector.unregister(sock)
        except (KeyError, ValueError):
            pass

    def read_requests(self):
        data = os.read(0, REQUEST_SIZE)
        if not data:
            os._exit(0)
        *lines, self.input = (self.input + data).split(b'\n')
        for line in lines:
            request = json.loads(line)
            try:
                result = getattr(self, 'on_' + request['verb'].replace('-', '_'))(request)
                if result is not None:
                    self.answer(request, ok=result)
            except Exception as failure:  # the requester decides what a failure means
                self.answer(request, error=f'{type(failure).__name__}: {failure}')

    def answer(self, request, **content):
        data = json.dumps({'id': request['id'], **content}, separators=(',', ':')).encode() + b'\n'
        while data:
            data = data[os.write(1, data):]

    # Packets

    def sender(self, family, interface):
        """The socket that sends by `interface`: IP packets, header included, or Ethernet frames."""
        if (family, interface) not in self.senders:
            if family == socket.AF_PACKET:
                sock = socket.socket(family, socket.SOCK_RAW, 0)
                sock.bind((interface, 0))
            else:
                # IPPROTO_RAW means "header included" in both families.
                sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            self.senders[family, interface] = sock
        return self.senders[family, interface]

    def on_send(self, request):
        """`packets` through the stack's output path, then `frames` as they are, all in order, by one interface."""
        interface = request['interface']
        frames = [base64.b64decode(frame) for frame in request['frames']]
        packets = [base64.b64decode(packet) for packet in request['packets']]
        refused = []
        wire = self.sender(socket.AF_PACKET, interface)
        # Both ends of a veth share the sender's CPU backlog: on one CPU nothing is overtaken, so a sentinel is the last.
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {libc.sched_getcpu()})
        try:
            before = self.dropped(interface)
            for index, packet in enumerate(packets):
                if packet[0] >> 4 == 4:
                    sock = self.sender(socket.AF_INET, interface)
                    address = (socket.inet_ntoa(packet[16:20]), 0)
                else:
                    sock = self.sender(socket.AF_INET6, interface)
                    address = (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0)
                try:
                    sock.sendto(packet, address)
                except OSError as failure:
                    refused.append([index, errno.errorcode.get(failure.errno, str(failure.errno))])
            for frame in frames:
                wire.send(frame)
            return {'refused': refused, 'dropped': self.dropped(interface) - before}
        finally:
            os.sched_setaffinity(0, allowed)

    @staticmethod
    def dropped(interface):
        # veth counts here what the other end's backlog (net.core.netdev_max_backlog) had no room for.
        with open(f'/sys/class/net/{interface}/statistics/tx_dropped') as file:
            return int(file.read())

    def on_observe(self, request):
        observer = LogObserver(request['group']) if 'group' in request else WireObserver(request['interface'])
        handle = next(self.handles)
        self.observers[handle] = observer
        return {'handle': handle}

    def on_arm(self, request):
        self.observers[request['handle']].arm()
        return {}

    def on_collect(self, request):
        """Answers with all that was seen before the packet `sentinel`, or when `timeout` milliseconds are over."""
        observer = self.observers[request['handle']]
        sentinel = base64.b64decode(request['sentinel'])
        seen = []
        is_open = True

        def finish(complete, failure=None):
            nonlocal is_open
            if not is_open:
                return
            is_open = False
            self.forget(observer.socket)
            observer.disarm()
            if failure is not None:
                self.answer(request, error=failure)
            else:
                packets = [base64.b64encode(packet).decode() for packet in seen]
                self.answer(request, ok={'packets': packets, 'complete': complete, 'lost': observer.lost()})
            seen.clear()

        def read():
            try:
                packets = observer.drain()
            except OSError as failure:
                finish(False, f'observer: {failure}')
                return
            seen.extend(packet for packet in packets if packet != sentinel)
            if sentinel in packets:
                finish(True)

        self.selector.register(observer.socket, selectors.EVENT_READ, read)
        self.after(request['timeout'], lambda: finish(False))

    # Sockets

    def open_endpoint(self, kind, request, is_server):
        """A new endpoint and its socket; a server's `address` and `port` are what it binds to."""
        if is_server:
            request = {**request, 'source': request['address'], 'sourcePort': request['port']}
        return Endpoint(self, request), open_socket(kind, request['address'], request)

    def keep(self, endpoint, sock):
        handle = next(self.handles)
        self.endpoints[handle] = endpoint
        return {'handle': handle, 'port': sock.getsockname()[1]}

    def on_tcp_server(self, request):
        endpoint, sock = self.open_endpoint(socket.SOCK_STREAM, request, True)
        endpoint.listen(sock)
        return self.keep(endpoint, sock)

    def on_udp_server(self, request):
        endpoint, sock = self.open_endpoint(socket.SOCK_DGRAM, request, True)
        endpoint.exchange(sock)
        return self.keep(endpoint, sock)

    def on_udp_client(self, request):
        endpoint, sock = self.open_endpoint(socket.SOCK_DGRAM, request, False)
        sock.connect(socket_address(sock.family, request['address'], request['port']))
        endpoint.exchange(sock)
        return self.keep(endpoint, sock)

    def on_tcp_client(self, request):
        """Answers when the connection stands, is refused, or `timeout` milliseconds are over."""
        endpoint, sock = self.open_endpoint(socket.SOCK_STREAM, request, False)
        is_open = True

        def finish(code):
            nonlocal is_open
            if not is_open:
                return
            is_open = False
            self.forget(sock)
            if code:
                sock.close()
                self.answer(request, ok={'connected': False, 'reason': errno.errorcode[code]})
                return
            endpoint.converse(sock)
            self.answer(request, ok={'connected': True, **self.keep(endpoint, sock)})

        code = sock.connect_ex(socket_address(sock.family, request['address'], request['port']))
        if code != errno.EINPROGRESS:
            finish(code)
            return
        self.selector.register(
            sock, selectors.EVENT_WRITE, lambda: finish(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        )
        self.after(request['timeout'], lambda: finish(errno.ETIMEDOUT))

    def on_write(self, request):
        endpoint = self.endpoints[request['handle']]
        endpoint.write(request['size'])
        return endpoint.report()

    def on_status(self, request):
        return self.endpoints[request['handle']].report()

    def on_close(self, request):
        endpoint = self.endpoints.pop(request['handle'])
        endpoint.close(request['reset'])
        return endpoint.report()

    # The namespace

    def on_settings(self, request):
        """Writes `settings` (path under /proc/sys -> value); those marked optional may be missing in this kernel."""
        for path, value in request['settings'].items():
            try:
                with open('/proc/sys/' + path.lstrip('?'), 'w') as file:
                    file.write(value)
            except OSError:
                if not path.startswith('?'):
                    raise
        return {}

    def on_flush_conntrack(self, request):
        flush_conntrack()
        return {}


if __name__ == '__main__':
    try:
        Agent().run()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
