import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type GeneratedRule, generatedRules, type RulesSpec } from '../generated-policy.ts';
import { memoryOf } from '../memory.ts';
import { arePresent } from '../present.ts';
import { TooLong } from '../run.ts';
import type { Peer, PeerKind } from './peer.ts';
import { Sandbox } from './sandbox.ts';

/** No call may take longer. */
const LIMIT = 60_000;

const DESTINATION = 'org.fedoraproject.FirewallD1';

const BUS = `<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
`;

/** firewalld with a message bus of its own, in a mount namespace. It is spoken to over the bus: its client is slower. */
export class Firewalld implements Peer {
  readonly name = 'firewalld';
  readonly #sandbox: Sandbox;
  readonly #bus: ChildProcess;
  #daemon: ChildProcess | undefined;

  private constructor(sandbox: Sandbox, bus: ChildProcess) {
    this.#sandbox = sandbox;
    this.#bus = bus;
  }

  /** Prepares one for a host, with files kept within `scratch`. */
  static async open(scratch: string, namespace: string): Promise<Firewalld> {
    const sandbox = await Sandbox.open(scratch, namespace, ['/etc/firewalld']);
    sandbox.write('/etc/firewalld/bus.conf', BUS);
    const bus = sandbox.spawn(['dbus-daemon', '--config-file=/etc/firewalld/bus.conf', '--nofork', '--nopidfile']);
    return new Firewalld(sandbox, bus);
  }

  write(spec: RulesSpec): boolean {
    // Groups would need a set each; a set of it is measured with members.
    if (spec.groups) return false;
    const rules = generatedRules(spec);
    const lines = (end: 'source' | 'destination'): string =>
      rules.map((rule) => richRule(rule, end, spec.family)).join('');
    this.#configure(lines('source'));
    this.#sandbox.write(
      '/etc/firewalld/policies/outbound.xml',
      `<policy target="DROP"><ingress-zone name="HOST"/><egress-zone name="ANY"/>\n${lines('destination')}</policy>\n`,
    );
    return true;
  }

  /** Keeps a set of addresses whose hosts may connect to port 22. */
  writeMembers(addresses: readonly string[]): void {
    const entries = addresses.map((address) => `<entry>${address}</entry>\n`).join('');
    this.#sandbox.write('/etc/firewalld/ipsets/members.xml', `<ipset type="hash:ip">\n${entries}</ipset>\n`);
    this.#configure('<rule family="ipv4"><source ipset="members"/><port port="22" protocol="tcp"/><accept/></rule>\n');
  }

  #configure(rules: string): void {
    const settings = this.#sandbox.read('/etc/firewalld/firewalld.conf');
    this.#sandbox.write('/etc/firewalld/firewalld.conf', settings.replace(/^DefaultZone=.*$/m, 'DefaultZone=measured'));
    this.#sandbox.write('/etc/firewalld/zones/measured.xml', `<zone target="DROP">\n${rules}</zone>\n`);
  }

  async start(): Promise<number> {
    const began = performance.now();
    this.#daemon = this.#sandbox.spawn(['firewalld', '--nofork', '--nopid']);
    for (;;) {
      try {
        // Answered once the rules are in the kernel.
        this.#call('org.freedesktop.DBus.Properties.Get', `string:${DESTINATION}`, 'string:state');
        return performance.now() - began;
      } catch (error) {
        if (this.#daemon.exitCode !== null) throw new Error('firewalld ended as it started', { cause: error });
        if (performance.now() - began > LIMIT) {
          await this.stop();
          throw new TooLong(`over ${LIMIT / 1_000} s to start`, { cause: error });
        }
        await sleep(20);
      }
    }
  }

  reload(): number {
    return this.#call(`${DESTINATION}.reload`);
  }

  /** Puts an address into the set of members, or takes it out; the milliseconds. */
  changeMember(verb: 'addEntry' | 'removeEntry', address: string): number {
    return this.#call(`${DESTINATION}.ipset.${verb}`, 'string:members', `string:${address}`);
  }

  /** The memory of the program in MB. */
  memory(): { readonly resident: number; readonly peak: number } {
    return memoryOf(this.#daemon?.pid ?? 0);
  }

  async stop(): Promise<void> {
    await finish(this.#daemon);
    this.#daemon = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await finish(this.#bus);
    await this.#sandbox.close();
  }

  #call(method: string, ...words: readonly string[]): number {
    // Whoever waits is to give up before the program that asks does, which would be a failure like any other.
    const options = ['--system', '--print-reply', `--reply-timeout=${2 * LIMIT}`, `--dest=${DESTINATION}`];
    const path = `/${DESTINATION.replaceAll('.', '/')}`;
    return this.#sandbox.run(['dbus-send', ...options, path, method, ...words], { limit: LIMIT }).milliseconds;
  }
}

/** firewalld as one peer of others. */
export const FIREWALLD: PeerKind = {
  name: 'firewalld',
  isPresent: () => arePresent(['firewalld', 'dbus-daemon', 'dbus-send']),
  open: (scratch, namespace) => Firewalld.open(scratch, namespace),
};

function richRule({ action, priority, protocol, ports, remote }: GeneratedRule, end: string, family: string): string {
  const verdict = action === 'allow' ? '<accept/>' : '<drop/>';
  return `<rule family="${family}" priority="${priority}"><${end} address="${remote.text}"/><port port="${ports}" protocol="${protocol}"/>${verdict}</rule>\n`;
}

async function finish(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await closed;
  clearTimeout(deadline);
}
