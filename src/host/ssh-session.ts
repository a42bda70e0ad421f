import { readFile } from 'node:fs/promises';

/** The ssh connection of a person, as sshd describes it. */
export interface SshSession {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

const MAX_ANCESTORS = 32;

/**
 * The ssh connection that this process was started from, or undefined. It is read from the process's environment or, since
 * sudo removes the variable, from that of the nearest ancestor that has it and may be read.
 */
export async function findSshSession(): Promise<SshSession | undefined> {
  const own = process.env['SSH_CONNECTION'];
  if (own !== undefined) return parseSshConnection(own);
  let pid: number | undefined = process.ppid;
  for (let step = 0; step < MAX_ANCESTORS && pid !== undefined && pid > 1; step += 1) {
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
