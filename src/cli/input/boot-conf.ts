import type { BootConf } from '#core/model/policy/boot-conf.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import { parsePorts } from '#core/read/2-analyze/port-text.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';

/** Settings for a boot at which the last rules do not load; assignments, as systemd reads them. */
const BOOT_CONF = '/etc/secgroupd/boot.conf';

const MAX_BYTES = 64 * 1024;

const SSH: readonly PortRange[] = [{ from: 22, to: 22 }];

/**
 * Reads SSH_PORTS and FALLBACK from boot.conf; ssh is port 22 if the file is missing, or names no ports. A file that
 * cannot be read, or that users other than root can change, counts as missing, and `onTrouble` gets the reason.
 */
export async function readBootConf(onTrouble: (message: string) => void): Promise<BootConf> {
  const text = await readTrustedFile(BOOT_CONF, { maxBytes: MAX_BYTES, ownership: 'root' }).then(
    (file) => file.text,
    (error: unknown) => {
      if (!(error instanceof FileError)) throw error;
      if (error.kind !== 'missing') onTrouble(`${error.message}: its SSH_PORTS count as 22; help: ${error.hint}`);
      return '';
    },
  );
  const written = /^SSH_PORTS=["']?([^"'\n]*)["']?$/m.exec(text)?.[1] ?? '';
  const { ports, problems } = parsePorts(written);
  return { sshPorts: problems.length > 0 ? SSH : ports, isOpen: /^FALLBACK=["']?open["']?$/m.test(text) };
}
