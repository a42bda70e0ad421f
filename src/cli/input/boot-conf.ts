import { parsePorts } from '#core/read/2-analyze/port-text.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';
import type { BootConf } from '#core/model/policy/boot-conf.ts';
import type { PortRange } from '#core/model/policy/rule.ts';

/** What the host does at boot where the rules last in force do not load; assignments, as systemd reads them. */
const BOOT_CONF = '/etc/secgroupd/boot.conf';

const MAX_BYTES = 64 * 1024;

const SSH: readonly PortRange[] = [{ from: 22, to: 22 }];

/**
 * SSH_PORTS and FALLBACK there; ssh is port 22 where there is no such file, or it names no ports. A file that cannot be
 * read, or that others than root can change, counts as none, and `onTrouble` is called with why.
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
