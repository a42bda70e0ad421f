import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Status } from '#api/status.ts';
import { createWorld, type ExecResult, type World, type WorldSpec } from '../harness/world.ts';
import { type DaemonProcess, spawnDaemon } from './daemon.ts';
import { buildPrograms, PROGRAMS } from './programs.ts';

/** A world with a place for a daemon's files. */
export interface Site {
  readonly world: World;
  /** Holds the policy's directory and the daemon's own two; tests may keep files of theirs there. */
  readonly directory: string;
  readonly policyFile: string;
  /** The drop-in directory; not there unless made. */
  readonly dropIns: string;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** Starts a daemon, as the instance `host` unless told, and waits until its policy is in force, or refused if told. */
  start(options?: StartOptions): Promise<DaemonProcess>;
  /** Starts a daemon and waits for nothing. */
  spawn(options?: StartOptions): DaemonProcess;
  /** Runs sgctl in the host; its failures are results. The runtime directory and the policy file are told to commands that take them. */
  sgctl(...args: readonly string[]): Promise<ExecResult>;
  /** What nft prints in the host for these words. Throws if it fails. */
  nft(...words: readonly string[]): Promise<string>;
  /**
   * Our table, handles included and counters left out, so that nothing but a change changes the text; '' without one.
   * Without the chains of labels, which are made anew once more a second after a change where flows live.
   */
  table(): Promise<string>;
  /** Ends all daemons, removes our table and all the daemon's and the policy's files. */
  reset(): Promise<void>;
  /** Ends all daemons and removes everything. */
  remove(): Promise<void>;
}

/** What a start can say. */
export interface StartOptions {
  /** Null to leave the instance to be found out. */
  readonly instance?: string | null;
  /** What becomes of its policy; `enforced` unless told. */
  readonly becomes?: Status['state'];
  /** A program and its arguments, which runs what follows it in its own place. */
  readonly wrapper?: readonly string[] | undefined;
}

/** A wrapper that runs what follows it where other things are mounted, as this shell script does it. */
export function mounting(script: string): readonly string[] {
  return ['unshare', '--mount', 'bash', '-c', `${script} && exec "$@"`, 'bash'];
}

const WITH_RUNTIME_DIRECTORY: readonly string[] = [
  'apply',
  'status',
  'clear',
  'plan',
  'try',
  'confirm',
  'rollback',
  'history',
  'stats',
  'log',
  'verify',
];

/** Commands that write the policy file, and do not take the daemon's word for which that is. */
const WITH_POLICY_FILE: readonly string[] = ['try', 'confirm'];

/** Gives the tests that follow one site with the interface eth0, as new for each of them; `take` is called before the first. */
export function useSite(take: (site: Site) => void): void {
  let site: Site | undefined;
  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
    take(site);
  });
  afterEach(async () => {
    await site?.reset();
  });
  afterAll(async () => {
    await site?.remove();
  });
}

/** Builds the programs if need be, and makes a world with a place for the files. */
export async function createSite(spec: WorldSpec): Promise<Site> {
  buildPrograms();
  const world = await createWorld(spec);
  const directory = mkdtempSync(join(tmpdir(), 'secgroupd-site-'));
  const paths = {
    directory,
    policyFile: join(directory, 'etc/policy.yaml'),
    dropIns: join(directory, 'etc/policy.d'),
    stateDirectory: join(directory, 'state'),
    runtimeDirectory: join(directory, 'run'),
  };
  const daemons = new Set<DaemonProcess>();
  const empty = (): void => {
    for (const name of ['etc', 'state', 'run']) rmSync(join(directory, name), { recursive: true, force: true });
    mkdirSync(join(directory, 'etc'));
  };
  const stopAll = async (): Promise<void> => {
    await Promise.all([...daemons].map((daemon) => daemon.stop('SIGKILL')));
    daemons.clear();
  };
  const nft = async (...words: readonly string[]): Promise<string> =>
    (await world.exec(world.host, ['nft', ...words])).stdout;
  const spawn = ({ instance = 'host', wrapper }: StartOptions = {}): DaemonProcess => {
    const namespace = world.host.namespace;
    const daemon = spawnDaemon({ ...paths, namespace, wrapper, instance: instance ?? undefined });
    daemons.add(daemon);
    return daemon;
  };
  empty();
  return {
    ...paths,
    world,
    spawn,
    async start(options) {
      const daemon = spawn(options);
      const becomes = options?.becomes ?? 'enforced';
      const { state, refusal } = await daemon.until(
        'the policy was read',
        (status) => status.state !== 'starting',
        10_000,
      );
      if (state !== becomes) throw new Error(`the daemon is ${state}, not ${becomes}: ${refusal?.text ?? ''}`);
      return daemon;
    },
    sgctl: (command = '', ...args) => {
      const runtime = WITH_RUNTIME_DIRECTORY.includes(command) ? ['--runtime-dir', paths.runtimeDirectory] : [];
      const policy = WITH_POLICY_FILE.includes(command) ? ['--policy', paths.policyFile] : [];
      const argv = [process.execPath, PROGRAMS.sgctl, command, ...runtime, ...policy, ...args];
      return world.exec(
        world.host,
        argv.filter((word) => word !== ''),
        { reject: false },
      );
    },
    nft,
    async table() {
      const argv = ['nft', '--handle', '--numeric', '--stateless', 'list', 'table', 'inet', 'secgroupd'];
      const { stdout } = await world.exec(world.host, argv, { reject: false });
      // Labels change with each round, and of whom packets are logged the kernel notes by itself.
      return stdout
        .replace(/^\tchain (?:live|admit)\/[^}]*\}\n/gm, '')
        .replace(/^(\tset recent\/[^}]*)\t\telements = \{[^}]*\}\n/gm, '$1');
    },
    async reset() {
      await stopAll();
      await world.nft('add table inet secgroupd\ndelete table inet secgroupd\n');
      await world.flushConntrack();
      empty();
    },
    async remove() {
      await stopAll();
      await world.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Puts a file in another's place as editors and configuration tools do: written beside it, then renamed over it. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode: 0o644 });
  renameSync(temporary, path);
}

/** Whether this generation, or a later one, is in force. */
export function reached(generation: number): (status: Status) => boolean {
  return ({ inForce, refusal }) => (inForce?.generation ?? 0) >= generation && refusal === null;
}
