import { afterEach, expect, test, vi } from 'vitest';
import { readHeardProtocols } from '#host/heard-protocols.ts';
import { readClientPorts } from '#host/listening-sockets.ts';
import { readAddress } from '../oracle/read-literals.ts';

// Tables that the kernel of this machine may not have.
const tables = new Map<string, string>();
vi.mock('node:fs/promises', () => ({
  readFile: async (path: string) => {
    const text = tables.get(path.replace(/^\/proc\/(?:self\/net|sys\/net\/ipv4)\//, ''));
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  },
  readdir: async (path: string) => (path === '/proc' ? ['42', 'self'] : ['3', '4']),
  readlink: async (path: string) => (path.endsWith('3') ? 'socket:[1001]' : '/dev/null'),
}));

afterEach(() => {
  tables.clear();
});

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n';

function line(local: string, remote: string, inode: number): string {
  return `   0: ${local} ${remote} 07 00000000:00000000 00:00000000 00000000     0        0 ${inode} 2 0000000000000000 0\n`;
}

test('raw sockets are told by protocol, family, address and program; those that only send are not', async () => {
  tables.set(
    'raw',
    `${HEAD}${line('00000000:0070', '00000000:0000', 1001)}${line('0B0200C0:0059', '00000000:0000', 7)}${line('00000000:00FF', '00000000:0000', 8)}`,
  );
  tables.set(
    'raw6',
    `${HEAD}${line('00000000000000000000000000000000:003A', '00000000000000000000000000000000:0000', 9)}`,
  );
  tables.set('/proc/42/comm', 'keepalived\n');
  expect(await readHeardProtocols()).toEqual([
    { protocol: 58, family: 'ipv6', address: undefined, program: undefined },
    { protocol: 89, family: 'ipv4', address: readAddress('192.0.2.11'), program: undefined },
    { protocol: 112, family: 'ipv4', address: undefined, program: 'keepalived' },
  ]);
});

test('UDP-Lite without a partner, SCTP that listens, and sockets that are only counted', async () => {
  const NOBODY = '00000000:0000';
  tables.set('udplite', `${HEAD}${line('00000000:1388', NOBODY, 1)}${line('00000000:1389', '0B0200C0:0050', 2)}`);
  tables.set(
    'sctp/eps',
    ` ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
00000000 00000000 2   10  8    2905      0  4711 192.0.2.11 
00000000 00000000 2   7   9    33000     0  4712 192.0.2.11 2001:db8::11 
`,
  );
  tables.set(
    'protocols',
    `protocol  size sockets  memory press maxhdr  slab module     cl co
DCCPv6    1200      1      -1   NI     216   yes  dccp_ipv6   y  y
DCCP      1100      0      -1   NI     216   yes  dccp_ipv4   y  y
L2TP/IP    900      2      -1   NI       0   yes  l2tp_ip     y  y
TCP       2400      9       1   no     320   yes  kernel      y  y
`,
  );
  expect((await readHeardProtocols()).map(({ protocol, family }) => [protocol, family])).toEqual([
    [33, 'ipv6'],
    [115, 'ipv4'],
    [132, 'ipv4'],
    [136, 'ipv4'],
  ]);
  tables.set('sctp/eps', (tables.get('sctp/eps') ?? '').replace('2   7 ', '2   10'));
  expect((await readHeardProtocols()).filter(({ protocol }) => protocol === 132).map(({ family }) => family)).toEqual([
    'ipv4',
    'ipv4',
    'ipv6',
  ]);
});

test('a kernel without any of these tables hears nothing', async () => {
  expect(await readHeardProtocols()).toEqual([]);
});

test.each([
  ['1024\t2048\n', { from: 1_024, to: 2_048 }],
  ['nonsense', { from: 32_768, to: 60_999 }],
  [undefined, { from: 32_768, to: 60_999 }],
])('the ports of clients: %j', async (text, expected) => {
  if (text !== undefined) tables.set('ip_local_port_range', text);
  expect(await readClientPorts()).toEqual(expected);
});
