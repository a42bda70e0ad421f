"""Stands in for nft: runs the real one and writes down, a line a run, the most memory it had, in kB.

    nft-peak.py REAL-NFT LOG ARGUMENT...

Looks at the child's own high-water mark: what getrusage tells of a child begins with its parent's size.
"""

import subprocess
import sys
import time

real, log, *arguments = sys.argv[1:]
child = subprocess.Popen([real, *arguments])
peak = 0
while child.poll() is None:
    try:
        with open(f"/proc/{child.pid}/status") as status:
            peak = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), peak)
    except (FileNotFoundError, ProcessLookupError):
        pass
    time.sleep(0.0005)
with open(log, "a") as written:
    written.write(f"{peak}\n")
sys.exit(child.returncode)
