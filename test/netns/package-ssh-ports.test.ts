import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWorld, type World } from './harness/world.ts';

const SSH_PORTS = fileURLToPath(new URL('../../scripts/ssh-ports.sh', import.meta.url));
const SHIPPED = fileURLToPath(new URL('../../config/policy.yaml', import.meta.url));

let world: World;
const directory = mkdtempSync(join(tmpdir(), 'secgroupd-ssh-ports-'));

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
});
afterAll(async () => {
  await world?.destroy();
  rmSync(directory, { recursive: true, force: true });
});

test('the package finds the ports where sshd listens for the network, and no others', async () => {
  const python = realpathSync('/usr/bin/python3');
  for (const name of ['sshd', 'other']) copyFileSync(python, join(directory, name));
  const listen = (name: string, ...ends: readonly string[]): string =>
    `${directory}/${name} -c "import socket, sys, time
kept = [socket.create_server((end.rsplit(':', 1)[0], int(end.rsplit(':', 1)[1]))) for end in sys.argv[1:]]
time.sleep(30)" ${ends.join(' ')} & pids="$pids $!"`;
  const script = `
pids=
${listen('sshd', '0.0.0.0:2222', '127.0.0.1:6010')}
${listen('other', '0.0.0.0:8080')}
PATH=$PATH:/usr/sbin:/sbin
. ${SSH_PORTS}
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  [ "$(ss -Hltn | wc -l)" = 3 ] && break
  sleep 0.5
done
ssh_ports
policy_with_ssh ${SHIPPED} | grep -o '^ *ports: .*'
kill $pids
`;
  const { stdout } = await world.exec(world.host, ['sh', '-c', script]);
  const lines = stdout.split('\n');
  const ports = lines.slice(0, -1);
  const listed = ports.join(',');
  expect(lines.at(-1)?.trim()).toBe(`ports: ${ports.length > 1 ? `"${listed}"` : listed}`);
  expect(ports).toContain('2222');
  expect(ports).not.toContain('6010');
  expect(ports).not.toContain('8080');
});
