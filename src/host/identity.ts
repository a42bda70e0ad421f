import { hostname } from 'node:os';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';

/** The names by which a policy can identify this host. */
export interface HostIdentity {
  readonly hostname: string;
  /** Lower case; empty if there is none. */
  readonly machineId: string;
}

const MAX_MACHINE_ID_BYTES = 4096;

/** Reads the host's name and machine id. A missing machine id is no error. Throws a FileError if it cannot be read. */
export async function readIdentity(machineIdPath = '/etc/machine-id'): Promise<HostIdentity> {
  return { hostname: hostname(), machineId: await readMachineId(machineIdPath) };
}

async function readMachineId(path: string): Promise<string> {
  try {
    const { text } = await readTrustedFile(path, { maxBytes: MAX_MACHINE_ID_BYTES, ownership: 'any' });
    const id = text.trim().toLowerCase();
    // systemd writes this word until the first boot has created an id (machine-id(5)); it identifies no host.
    return id === 'uninitialized' ? '' : id;
  } catch (error) {
    if (error instanceof FileError && error.kind === 'missing') return '';
    throw error;
  }
}
