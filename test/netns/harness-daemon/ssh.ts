import { type ChildProcessByStdio, execFile, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import type { Node } from '../harness/world.ts';
import { until } from './until.ts';

/** A real sshd that takes a real key. */
export interface SshServer {
  /** Logs in from `source` and runs `cat`; undefined if that does not come about within `seconds`. */
  connect(client: Node, source: string, seconds: number): Promise<SshSession | undefined>;
  /** Logs in from `source`, runs a command and returns what it prints. Throws if it fails. */
  run(client: Node, source: string, command: string): Promise<string>;
  stop(): Promise<void>;
}

/** A session that echoes. */
export interface SshSession {
  /** Whether a line sent now is echoed within so many milliseconds. */
  echoes(within: number): Promise<boolean>;
  end(): Promise<void>;
}

/** Starts sshd in a node, on port 22 of `address`, with keys of its own in `directory`. */
export async function startSshd(server: Node, address: string, directory: string): Promise<SshServer> {
  const file = (name: string): string => join(directory, name);
  for (const name of ['host_key', 'user_key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
  }
  copyFileSync(file('user_key.pub'), file('authorized_keys'));
  // sshd refuses an account whose password field begins with `!`, as root's does on some machines; a `*` it takes.
  writeFileSync(file('shadow'), 'root:*:19000:0:99999:7:::\n');
  execFileSync('sh', ['-c', `grep -v ^root: /etc/shadow >>${file('shadow')} || true`]);
  chmodSync(file('shadow'), 0o600);
  const settings = [
    `ListenAddress ${address}`,
    `HostKey ${file('host_key')}`,
    `AuthorizedKeysFile ${file('authorized_keys')}`,
    ...['PermitRootLogin prohibit-password', 'StrictModes no', 'UsePAM no', 'PidFile none', 'UseDNS no'],
    ...['PasswordAuthentication no', 'LogLevel VERBOSE', 'AllowTcpForwarding no', 'PrintMotd no'],
  ];
  writeFileSync(file('sshd_config'), settings.map((setting) => `${setting}\n`).join(''));
  // `ip netns exec` gives a mount namespace of its own, so the machine's /run and /etc stay as they are.
  const script = [
    'mount -t tmpfs none /run',
    'mkdir -m 755 /run/sshd',
    `mount --bind ${file('shadow')} /etc/shadow`,
    `exec "$(PATH=$PATH:/usr/sbin command -v sshd)" -D -e -f ${file('sshd_config')}`,
  ].join(' && ');
  // Sessions have processes of their own that outlive sshd; of a process namespace nothing outlives the first process.
  const apart = ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--pid', '--mount-proc', '--fork', '--kill-child=KILL'];
  const child = spawn('ip', ['netns', 'exec', server.namespace, ...apart, 'sh', '-c', script], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
    appendFileSync(file('sshd.log'), text);
  });
  const exited = closing(child);
  await until('sshd listens', () => log.includes('Server listening'), { instead: () => log });
  const words = (source: string, seconds: number, command: string): readonly string[] => [
    ...['-F', '/dev/null', '-i', file('user_key'), '-b', source, '-T'],
    ...['IdentitiesOnly yes', 'BatchMode yes', 'StrictHostKeyChecking no', 'LogLevel ERROR'].flatMap(option),
    ...['UserKnownHostsFile /dev/null', `ConnectTimeout ${seconds}`].flatMap(option),
    ...[`root@${address}`, command],
  ];
  return {
    async connect(client, source, seconds) {
      const session = openSession(client, words(source, seconds, 'cat'));
      if (await session.echoes(seconds * 1_000)) return session;
      await session.end();
      return undefined;
    },
    async run({ namespace }, source, command) {
      const argv = ['netns', 'exec', namespace, 'ssh', ...words(source, 10, command)];
      return (await promisify(execFile)('ip', argv, { timeout: 30_000 })).stdout;
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function option(text: string): readonly string[] {
  return ['-o', text.replace(' ', '=')];
}

function openSession({ namespace }: Node, argv: readonly string[]): SshSession {
  const child = spawn('ip', ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', 'ssh', ...argv], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = closing(child);
  let received = '';
  let sent = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  child.stdin.on('error', () => undefined);
  return {
    async echoes(within) {
      sent += 1;
      const line = `line ${sent}\n`;
      child.stdin.write(line);
      const echo = until('the echo', () => received.includes(line) || (child.exitCode !== null && 'ended'), { within });
      return (await echo.catch(() => false)) === true;
    },
    async end() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function closing(child: ChildProcessByStdio<Writable | null, Readable | null, Readable | null>): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve());
  });
}
