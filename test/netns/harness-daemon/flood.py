"""Sends Ethernet frames round and round by one interface, at a bounded rate, and says at the end how many of each class.

The order is one line of JSON on standard input: {"interface", "frames": [[class, base64], ...], "rate", "seconds"}.
Answers `started`, sends until standard input ends or `seconds` are over, and answers
{"sent": {class: count}, "dropped": count}: `dropped` is what found no room on the way to the other end.
"""

import base64
import collections
import json
import select
import socket
import sys
import time

# So many frames at most are sent without a pause when the machine was busy elsewhere for a while.
LONGEST_BURST = 200


def dropped(interface):
    # veth counts here what the other end's backlog (net.core.netdev_max_backlog) had no room for.
    with open(f'/sys/class/net/{interface}/statistics/tx_dropped') as file:
        return int(file.read())


def main():
    order = json.loads(sys.stdin.readline())
    frames = [(kind, base64.b64decode(frame)) for kind, frame in order['frames']]
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((order['interface'], 0))
    sent = collections.Counter()
    before = dropped(order['interface'])
    print('started', flush=True)
    at = last = time.monotonic()
    end = at + order['seconds']
    position = 0
    while at < end and not select.select([0], [], [], 0.001)[0]:
        at = time.monotonic()
        for _ in range(min(LONGEST_BURST, int((at - last) * order['rate']))):
            kind, frame = frames[position]
            position = (position + 1) % len(frames)
            sock.send(frame)
            sent[kind] += 1
        last = at
    print(json.dumps({'sent': sent, 'dropped': dropped(order['interface']) - before}), flush=True)


if __name__ == '__main__':
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
