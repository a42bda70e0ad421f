import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Trees are kept between runs, with everything else that is installed for the project. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/secgroupd-trees/', import.meta.url));

/** What a small server has, beside what every Debian has. */
const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'dbus', 'udev', 'kmod', 'procps', 'iproute2', 'iputils-ping'],
  ...['nftables', 'openssh-server', 'ca-certificates', 'python3-minimal'],
];

const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The root of a Debian as it is after its installation; not to be written to. Makes it where there is none, in half a minute. */
export function debianTree(suite: 'bookworm' | 'trixie'): string {
  const recipe = createHash('sha1').update(PACKAGES.join(' ')).digest('hex').slice(0, 12);
  const tree = join(CACHE, `${suite}-${recipe}`);
  if (existsSync(tree)) return tree;
  mkdirSync(CACHE, { recursive: true });
  for (const stale of readdirSync(CACHE))
    if (stale.startsWith(suite)) rmSync(join(CACHE, stale), { recursive: true, force: true });
  const unfinished = `${tree}.unfinished`;
  execFileSync(
    'mmdebstrap',
    [
      ...['--mode=root', '--variant=minbase', `--keyring=${KEYS}`, `--include=${PACKAGES.join(',')}`],
      // Nobody reads these here.
      ...['--dpkgopt=path-exclude=/usr/share/doc/*', '--dpkgopt=path-exclude=/usr/share/man/*'],
      ...['--dpkgopt=path-exclude=/usr/share/locale/*', '--quiet'],
      ...[suite, unfinished],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
  );
  renameSync(unfinished, tree);
  return tree;
}
