import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { World } from '../../netns/harness/world.ts';

const PROGRAM = fileURLToPath(new URL('probes.py', import.meta.url));

/** Somebody outside who tries to connect, again and again. */
export interface Probes {
  /** Ends it, and says which ports ever took a connection, and how often each was tried. */
  stop(): Promise<{ readonly answered: readonly number[]; readonly tries: number }>;
}

/** Tries these TCP ports of the host, from the peer of an interface, some hundred times a second, five minutes at the most. */
export async function startProbes(world: World, name: string, ports: readonly number[]): Promise<Probes> {
  const { host } = world.link(name);
  // What is there for a moment only is not missed for want of an address.
  const neighbour = [host.ipv4, 'lladdr', host.mac, 'dev', name, 'nud', 'permanent'];
  await world.exec(world.peer(name), ['ip', 'neighbour', 'replace', ...neighbour]);
  const child = spawn(
    'ip',
    ['netns', 'exec', world.peer(name).namespace, 'python3', '-B', PROGRAM, host.ipv4, ...ports.map(String)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return {
    async stop() {
      child.stdin.end();
      await once(child, 'close');
      return JSON.parse(said) as { answered: readonly number[]; tries: number };
    },
  };
}
