"""Interfaces in VRFs, on a kernel that has them, in network namespaces of this machine. Needs no more than a minimal Python.

  python3 interfaces.py     (as root, where secgroupd and sgctl are installed; prints what was seen, a line each)

A host `h` with the daemon and a peer `p`, joined by eth9. A table of its own counts what passes behind the daemon's.
"""
import os, re, socket, subprocess, sys, tempfile, threading, time


def listen(ports):
    """Accepts, and closes, connections to the ports until it is ended."""
    def serve(one):
        while True:
            one.accept()[0].close()
    for port in ports:
        one = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        threading.Thread(target=serve, args=(one,), daemon=True).start()
    print('listening', flush=True)
    threading.Event().wait()


def reach(device, ports, addresses):
    """Prints each port once for each address at which it is reached."""
    for port in ports:
        for address in addresses:
            one = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            if device != '-':
                one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            one.settimeout(3)
            try:
                one.connect((address, port))
                print(port)
            except OSError:
                pass
            one.close()


def probe(address, ports):
    """Sends a first packet to each port again and again, until it is ended."""
    while True:
        for port in ports:
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((address, port))
            time.sleep(0.002)
            one.close()


if len(sys.argv) > 1:
    role, one, *more = sys.argv[1:]
    ports = [int(port) for port in more[0].split(',')] if more else []
    if role == 'listen':
        listen([int(port) for port in one.split(',')])
    elif role == 'reach':
        reach(one, ports, more[1:])
    else:
        probe(one, ports)
    sys.exit()

H, P = f'sgvm-h{os.getpid()}', f'sgvm-p{os.getpid()}'
HOST4, PEER4, HOST6, PEER6 = '10.0.9.10', '10.0.9.2', 'fd00:9::a', 'fd00:9::2'
PATIENCE = 240
directory = tempfile.mkdtemp(prefix='sgvm-')
os.chmod(directory, 0o755)
etc, run_dir, policy_file = directory + '/etc', directory + '/run', directory + '/etc/policy.yaml'
os.mkdir(etc, 0o755)
daemon, begun = None, []


def sh(*words, check=True, **more):
    return subprocess.run(words, check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more).stdout


def ip(ns, *words, **more):
    return sh('ip', '-n', ns, *words, **more)


def nft(*words, **more):
    return sh('ip', 'netns', 'exec', H, 'nft', *words, **more)


def begin(ns, *words):
    return subprocess.Popen(['ip', 'netns', 'exec', ns, sys.executable, '-B', __file__, *words], stdout=subprocess.PIPE, text=True)


def listening(ns, ports):
    one = begin(ns, 'listen', ports)
    begun.append(one)
    one.stdout.readline()


def reached(ns, device, ports, *addresses):
    return begin(ns, 'reach', device, ports, *addresses).communicate()[0].split()


def inbound():
    """Which of the ports 22 and 80 the peer reaches, in both families."""
    return reached(P, '-', '22,80', HOST4, HOST6)


def outbound(device):
    """Which of the ports 8080 and 8081 the host reaches, in both families."""
    return reached(H, device, '8080,8081', PEER4, PEER6)


def status():
    return sh('sgctl', 'status', '--json', '--runtime-dir', run_dir, check=False)


def until(what, holds):
    end = time.time() + PATIENCE
    while True:
        found = status()
        if holds(found):
            return found
        if time.time() > end:
            raise RuntimeError(f'not within {PATIENCE} s: {what}; {found}; {open(directory + "/log").read()[-2000:]}')
        time.sleep(0.1)


def applied(found):
    count = re.search(r'"changesApplied": (\d+)', found)
    return None if count is None or '"state": "enforced"' not in found else int(count[1])


def policy(interfaces, unmanaged='allow'):
    """`web` lets 80 in and 8080 out and nothing else; `other` lets 22 in and 8081 out."""
    groups = ''.join(
        f"  {name}: {{ inbound: [{{ protocol: tcp, ports: {inside}, source: any }}], outbound: [{{ protocol: tcp, ports: {outside}, destination: any }}] }}\n"
        for name, inside, outside in (('web', 80, 8080), ('other', 22, 8081)))
    bound = ', '.join(f'"{name}": {{ securityGroups: [{group}] }}' for name, group in interfaces.items())
    before = applied(status())
    with open(policy_file + '.new', 'w') as file:
        file.write(f'version: 1\nunmanagedInterfaces: {unmanaged}\nsecurityGroups:\n{groups}instances:\n  host: {{ interfaces: {{ {bound} }} }}\n')
    os.rename(policy_file + '.new', policy_file)
    if before is not None:
        until('the policy is in force', lambda now: (applied(now) or 0) > before)


def addresses(device):
    # They go with an interface that gets or loses a master, IPv6's own for good.
    for family, address in (('-4', HOST4 + '/24'), ('-6', HOST6 + '/64')):
        ip(H, family, 'address', 'replace', address, 'dev', device, *(['nodad'] if family == '-6' else []))


def enslave(device, master):
    ip(H, 'link', 'set', device, 'master', master)
    addresses(device)


def free(device):
    ip(H, 'link', 'set', device, 'nomaster')
    addresses(device)


def tell(what, *lists):
    print(f'{what}: {" | ".join(" ".join(map(str, one)) for one in lists)}', flush=True)


def passed():
    """How many first packets to 22 and to 80 passed since it was last asked."""
    return [int(nft('reset', 'counter', 'inet', 'probe', name).split('packets ')[1].split()[0]) for name in ('c22', 'c80')]


def under_probes(change):
    """To which of the ports 22 and 80 first packets passed while `change` was made and a moment later."""
    probing = begin(P, 'probe', HOST4, '22,80')
    try:
        time.sleep(1)
        passed()
        change()
        # What passes to 80 tells that packets come in at all, which neighbours keep away for a while.
        found, end = [], time.time() + PATIENCE
        while 80 not in found and time.time() < end:
            time.sleep(0.5)
            found += [port for port, count in zip((22, 80), passed()) if count > 0]
    finally:
        probing.kill()
        probing.wait()
    return sorted(set(found))


try:
    for ns in (H, P):
        sh('ip', 'netns', 'add', ns)
        ip(ns, 'link', 'set', 'lo', 'up')
    # So that servers that are bound to no VRF are reached by all of them.
    sh('ip', 'netns', 'exec', H, 'sysctl', '-qw', 'net.ipv4.tcp_l3mdev_accept=1')
    ip(H, 'link', 'add', 'eth9', 'type', 'veth', 'peer', 'name', 'eth9', 'netns', P)
    for ns, ends in ((H, (HOST4 + '/24', HOST6 + '/64')), (P, (PEER4 + '/24', PEER6 + '/64'))):
        ip(ns, 'address', 'add', ends[0], 'dev', 'eth9')
        ip(ns, '-6', 'address', 'add', ends[1], 'dev', 'eth9', 'nodad')
        ip(ns, 'link', 'set', 'eth9', 'up')
    nft('-f', '-', input='''table inet probe {
  counter c22 { }
  counter c80 { }
  chain in {
    type filter hook input priority 300; policy accept;
    tcp dport 22 counter name c22
    tcp dport 80 counter name c80
  }
}''')
    listening(H, '22,80')
    listening(P, '8080,8081')

    policy({'eth9': 'web'})
    daemon = subprocess.Popen(
        ['ip', 'netns', 'exec', H, 'secgroupd', '--policy', policy_file, '--instance', 'host', '--state-dir', directory + '/state', '--runtime-dir', run_dir],
        stdin=subprocess.DEVNULL, stdout=open(directory + '/log', 'w'), stderr=subprocess.STDOUT)
    until('the daemon enforces', lambda now: applied(now) is not None)
    tell('alone', inbound(), outbound('-'))

    ip(H, 'link', 'add', 'blue', 'type', 'vrf', 'table', '10')
    ip(H, 'link', 'set', 'blue', 'up')
    tell('while it is put into a VRF', under_probes(lambda: enslave('eth9', 'blue')))
    tell('named, in a VRF that is not', inbound(), outbound('blue'))
    tell('verified', [sh('ip', 'netns', 'exec', H, 'sgctl', 'verify', '--runtime-dir', run_dir, check=False).split(':')[0]])
    tell('notes', re.findall(r'"code": "([a-z-]+)"', status()))

    policy({'eth9': 'web'}, unmanaged='deny')
    tell('the same, all else denied', inbound(), outbound('blue'))
    policy({'et*': 'web'}, unmanaged='deny')
    tell('by a glob, all else denied', inbound(), outbound('blue'))
    policy({'eth8': 'web'}, unmanaged='deny')
    tell('neither named, all else denied', inbound(), outbound('blue'))
    policy({'eth8': 'web'})
    tell('neither named', inbound(), outbound('blue'))
    policy({'eth9': 'web', 'blue': 'other'})
    tell('both named', inbound(), outbound('blue'))
    policy({'blue': 'web'})
    until('eth9 is judged as its VRF', lambda now: '"as": "vrf"' in now)
    tell('the VRF named', inbound(), outbound('blue'))
    policy({'eth9': 'web'})
    tell('while it leaves the VRF', under_probes(lambda: free('eth9')))
    tell('alone again', inbound(), outbound('-'))
    ip(H, 'link', 'delete', 'blue')

finally:
    if daemon is not None:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for one in begun:
        one.kill()
        one.wait()
    for ns in (H, P):
        sh('ip', 'netns', 'del', ns, check=False)
    sh('rm', '-rf', '--', directory)
