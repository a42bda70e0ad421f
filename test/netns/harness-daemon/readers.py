"""Clients of a unix socket that ask for more than they read: readers.py SOCKET KIND PATH CONNECTIONS

pipelining  each connection has as many requests under way as the socket takes, and is made anew where it is ended
hurrying    each connection asks once, reads the answer, and is made anew at once
deaf        each connection asks many times and never reads
unfinished  each connection sends half a request and nothing more; it is made anew where it is ended

Writes `ready` when all connections have been made once; ends when its standard input does.
"""

import select
import socket
import sys
import threading

path, kind, what, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
request = f'GET {what} HTTP/1.1\r\nHost: x\r\n\r\n'.encode()
ended = threading.Event()
made = [0]


def connect():
    while not ended.is_set():
        one = socket.socket(socket.AF_UNIX)
        try:
            one.settimeout(5)
            one.connect(path)
            return one
        except OSError:
            one.close()
            ended.wait(0.005)


def pipelining(one):
    one.setblocking(False)
    while not ended.is_set():
        try:
            one.send(request * 50)
        except BlockingIOError:
            try:
                if not one.recv(1 << 20):
                    return
            except BlockingIOError:
                select.select([one], [one], [], 0.1)


def hurrying(one):
    one.sendall(request)
    while one.recv(1 << 20):
        pass


def deaf(one):
    one.setblocking(False)
    try:
        one.send(request * 20)
    except BlockingIOError:
        pass
    ended.wait()


def unfinished(one):
    one.sendall(request[:-2])
    while one.recv(1 << 20):
        pass


def go_on():
    first = True
    while not ended.is_set():
        one = connect()
        if one is None:
            return
        if first:
            made[0] += 1
            first = False
        try:
            globals()[kind](one)
        except OSError:
            pass
        one.close()


threads = [threading.Thread(target=go_on, daemon=True) for _ in range(count)]
for thread in threads:
    thread.start()
while made[0] < count and not ended.wait(0.01):
    pass
print('ready', flush=True)
sys.stdin.read()
ended.set()
