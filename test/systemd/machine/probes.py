"""Tries to connect to an address's ports again and again, until standard input ends. Says which ever answered."""

import select
import socket
import sys
import time

MOST_SECONDS = 300
PATIENCE_SECONDS = 0.05

address, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
answered = set()
tries = 0
deadline = time.monotonic() + MOST_SECONDS
while time.monotonic() < deadline:
    attempts = {}
    # Once is enough: a slow machine could do nothing but begin logins.
    for port in set(ports) - answered:
        attempt = socket.socket()
        attempt.setblocking(False)
        attempt.connect_ex((address, port))
        attempts[attempt] = port
    tries += 1
    end = time.monotonic() + PATIENCE_SECONDS
    while attempts and time.monotonic() < end:
        _, ready, _ = select.select([], list(attempts), [], max(0, end - time.monotonic()))
        for attempt in ready:
            if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                answered.add(attempts[attempt])
            del attempts[attempt]
            attempt.close()
    for attempt in attempts:
        attempt.close()
    if select.select([sys.stdin], [], [], 0.005)[0]:
        break
# JSON, without the module, which a minimal Python does not have.
print(f'{{"answered": {sorted(answered)}, "tries": {tries}}}')
