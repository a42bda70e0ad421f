import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const PROGRAMS = ['ip', 'nft', 'python3'];

/** Throws an Error that names all that is missing here for tests with real packets: root, Linux, programs. */
export function needKernel(): void {
  const missing = [
    ...(process.platform === 'linux' ? [] : ['a Linux kernel']),
    ...(process.getuid?.() === 0 ? [] : ['root (network namespaces and raw sockets)']),
    ...PROGRAMS.filter((program) => !isInstalled(program)).map((program) => `the program \`${program}\``),
  ];
  // A skipped proof reads like a passed one, so what is missing fails the tests.
  if (missing.length > 0) throw new Error(`tests with real packets need: ${missing.join(', ')}`);
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
