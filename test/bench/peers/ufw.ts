import { type GeneratedRule, generatedRules, type RulesSpec } from '../generated-policy.ts';
import { arePresent } from '../present.ts';
import type { Peer, PeerKind } from './peer.ts';
import { Sandbox } from './sandbox.ts';

/** No run of it may take longer. */
const LIMIT = 60_000;

const ANY = '0.0.0.0/0';

/** ufw with files of its own, in a mount namespace. */
export class Ufw implements Peer {
  readonly name = 'ufw';
  readonly #sandbox: Sandbox;

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** Prepares one for a host, with files kept within `scratch`. */
  static async open(scratch: string, namespace: string): Promise<Ufw> {
    const sandbox = await Sandbox.open(scratch, namespace, ['/etc/ufw', '/etc/default', '/lib/ufw']);
    const settings = sandbox
      .read('/etc/default/ufw')
      // Settings of the kernel are the benchmark's own.
      .replace(/^IPT_SYSCTL=.*$/m, 'IPT_SYSCTL=')
      .replace(/^DEFAULT_OUTPUT_POLICY=.*$/m, 'DEFAULT_OUTPUT_POLICY="DROP"');
    sandbox.write('/etc/default/ufw', settings);
    sandbox.write('/etc/ufw/ufw.conf', 'ENABLED=yes\nLOGLEVEL=off\n');
    return new Ufw(sandbox);
  }

  write(spec: RulesSpec): boolean {
    // It has no sets.
    if (spec.groups || spec.family !== 'ipv4') return false;
    const rules = generatedRules(spec);
    this.#writeRules(rules.flatMap((rule) => [ruleText(rule, 'in'), ruleText(rule, 'out')]));
    return true;
  }

  /** Keeps a rule for each of some addresses whose hosts may connect to port 22. */
  writeMembers(addresses: readonly string[]): void {
    const rule = { action: 'allow', priority: 1, protocol: 'tcp', ports: '22' } as const;
    this.#writeRules(addresses.map((text) => ruleText({ ...rule, remote: { kind: 'cidr', text } }, 'in')));
  }

  #writeRules(rules: readonly string[]): void {
    const chains = ['user-input', 'user-output', 'user-forward', 'user-limit', 'user-limit-accept'];
    const declared = chains.map((chain) => `:ufw-${chain} - [0:0]\n`).join('');
    this.#sandbox.write(
      '/etc/ufw/user.rules',
      `*filter\n${declared}### RULES ###\n${rules.join('')}### END RULES ###\nCOMMIT\n`,
    );
  }

  async start(): Promise<number> {
    return this.#sandbox.run(['/lib/ufw/ufw-init', 'start'], { limit: LIMIT }).milliseconds;
  }

  reload(): number {
    return this.#sandbox.run(['ufw', 'reload'], { limit: LIMIT }).milliseconds;
  }

  /** Adds the rule for a member, or takes it away; the milliseconds. */
  changeMember(verb: 'add' | 'delete', address: string): number {
    const rule = ['allow', 'from', address, 'to', 'any', 'port', '22', 'proto', 'tcp'];
    return this.#sandbox.run(['ufw', ...(verb === 'add' ? [] : ['delete']), ...rule], { limit: LIMIT }).milliseconds;
  }

  async stop(): Promise<void> {
    this.#sandbox.run(['nft', 'flush', 'ruleset']);
  }

  async close(): Promise<void> {
    await this.#sandbox.close();
  }
}

/** ufw as one peer of others. */
export const UFW: PeerKind = {
  name: 'ufw',
  isPresent: () => arePresent(['ufw', 'iptables-restore']),
  open: (scratch, namespace) => Ufw.open(scratch, namespace),
};

/** A rule as ufw keeps it: in its own words, by which it tells rules apart, and in those of iptables. */
function ruleText({ action, protocol, ports, remote }: GeneratedRule, direction: 'in' | 'out'): string {
  const [first, last = first] = ports.split('-');
  const range = first === last ? first : `${first}:${last}`;
  const port = first === last ? `--dport ${range}` : `-m multiport --dports ${range}`;
  const target = action === 'allow' ? 'ACCEPT' : 'DROP';
  return direction === 'in'
    ? `\n### tuple ### ${action} ${protocol} ${range} ${ANY} any ${remote.text} in\n-A ufw-user-input -p ${protocol} ${port} -s ${remote.text} -j ${target}\n`
    : `\n### tuple ### ${action} ${protocol} ${range} ${remote.text} any ${ANY} out\n-A ufw-user-output -p ${protocol} -d ${remote.text} ${port} -j ${target}\n`;
}
