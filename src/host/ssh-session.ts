import { readFile } from 'node:fs/promises';

/** The connection that a person sits behind, as sshd describes it. */
export interface SshSession {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

const MOST_ANCESTORS = 32;

/**
 * The ssh connection that this process was started from, or undefined: from its own environment, or, since sudo takes
 * the variable away, from that of the nearest ancestor which has it and may be read.
 */
export async function findSshSession(): Promise<SshSession | undefined> {
  const own = process.env['SSH_CONNECTION'];
  if (own !== undefined) return parseSshConnection(own);
  let pid: number | undefined = process.ppid;
  for (let step = 0; step < MOST_ANCESTORS && pid !== undefined && pid > 1; step += 1) {
    const found = /(?:^|\0)SSH_CONNECTION=([^\0]*)/.exec(await textOf(`/proc/${pid}/environ`))?.[1];
    if (found !== undefined) return parseSshConnection(found);
    const parent: string | undefined = /^PPid:\s*(\d+)$/m.exec(await textOf(`/proc/${pid}/status`))?.[1];
    pid = parent === undefined ? undefined : Number(parent);
  }
  return undefined;
}

/** Reads `client-address client-port server-address server-port`; ssh(1), SSH_CONNECTION. */
function parseSshConnection(text: string): SshSession | undefined {
  const [clientAddress, clientPort, serverAddress, serverPort, ...more] = text.split(' ');
  if (serverPort === undefined || more.length > 0) return undefined;
  const [from, to] = [Number(clientPort), Number(serverPort)];
  if (!Number.isInteger(from) || !Number.isInteger(to)) return undefined;
  return {
    clientAddress: clientAddress ?? '',
    clientPort: from,
    serverAddress: serverAddress ?? '',
    serverPort: to,
  };
}

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
