"""Runs a program on a terminal of its own, types an answer when it is asked, and prints what it printed."""

import json
import os
import pty
import select
import sys
import time

prompt, answer, seconds, *argv = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
printed = b""
deadline = time.monotonic() + seconds
while time.monotonic() < deadline:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if not ready:
        continue
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    printed += data
    if answer and prompt.encode() in printed:
        os.write(terminal, answer.encode())
        answer = ""
_, status = os.waitpid(pid, 0)
print(json.dumps({"printed": printed.decode(), "status": os.waitstatus_to_exitcode(status)}))
