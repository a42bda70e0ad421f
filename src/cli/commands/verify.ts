import { reportRule } from '#api/rule-report.ts';
import { type Command, CommandError, type CommandLine, EXIT, type Streams } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION, socketPath } from '#cli/framework/options.ts';
import { locateTexts, policyInForce } from '#cli/input/in-force.ts';
import { locate, readHost, readPolicyOrExplain } from '#cli/input/load.ts';
import { WITHIN, workWithin } from '#cli/input/within-option.ts';
import { leftOutLines } from '#cli/present/format-left-out.ts';
import { formatPlace } from '#cli/present/format-place.ts';
import { formatRemotes } from '#cli/present/format-remotes.ts';
import { formatTraffic, trafficToJson } from '#cli/present/format-traffic.ts';
import { packetToJson } from '#cli/present/packet-json.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import { formatPacket } from '#core/meaning/evaluate/packet-text.ts';
import { compareTable, type TableComparison } from '#core/meaning/verify/compare-table.ts';
import type { TableDifference } from '#core/meaning/verify/table-difference.ts';
import { formatInterval, isWholeFamily } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import { readTable } from '#kernel/nftables/read-table.ts';

/** `sgctl verify [FILE]`: proves that the kernel's rules do what the policy says. */
export const verify: Command = {
  name: 'verify',
  summary:
    'Reads the table back from the kernel, traces every kind of packet through it, and proves that it does what the policy in force says, or shows packets for which it does not. The daemon reports the policy in force; with FILE the kernel is compared with that file.',
  usage: '[FILE] [--instance NAME] [--within SECONDS]',
  options: {
    policy: {
      ...OPTION.policy,
      help: `the policy file to compare the daemon's report with (default ${DEFAULT_POLICY_FILE})`,
    },
    instance: OPTION.instance,
    'runtime-dir': OPTION.runtimeDir,
    within: WITHIN,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: [
    'sudo sgctl verify',
    'sudo sgctl verify /etc/secgroupd/policy.yaml',
    "sudo sgctl verify --json | jq '.same'",
  ],
  exitNo: 'the kernel does not do what the policy says, or FILE is not valid',
  async run(line, streams) {
    const policy = await policyOf(line, streams);
    if (policy === undefined) return EXIT.no;
    const table = await readTable(createNft(), TABLE);
    if (table === undefined) {
      const text = `the kernel has no table ${TABLE}: all traffic passes unless other tables block it`;
      streams.out(line.given('json') ? `${JSON.stringify({ same: false, trouble: text })}\n` : `${text}\n`);
      return EXIT.no;
    }
    const comparison = await workWithin(line, { streams, what: 'tracing packets' }, (patience) =>
      compareTable(policy, table, patience),
    );
    const { revoked } = table;
    streams.out(
      line.given('json')
        ? `${JSON.stringify({ ...toJson(comparison), revokedFlows: revoked }, null, 2)}\n`
        : `${format(comparison, policy)}${revokedText(revoked)}`,
    );
    if (isSame(comparison)) return EXIT.success;
    return comparison.differences.length + comparison.unknown.length > 0 ? EXIT.no : EXIT.failed;
  },
};

/** The policy to compare the kernel with; undefined after printing the mistakes of an invalid file. */
async function policyOf(line: CommandLine, streams: Streams): Promise<HostPolicy | undefined> {
  const host = await readHost();
  const [file] = line.positionals;
  if (file !== undefined) {
    const policy = await readPolicyOrExplain({ file }, streams);
    return policy === undefined ? undefined : locate(policy, host, { named: line.text('instance'), streams });
  }
  const inForce = await policyInForce(socketPath(line), 'name the policy file: sgctl verify FILE');
  if (inForce.kind === 'nothing')
    throw new CommandError('no rules of secgroupd are in force: there is nothing to verify');
  const policyFile = line.text('policy') ?? DEFAULT_POLICY_FILE;
  const written = await createPolicyLoader(createPolicyReader(policyFile, 'any'))();
  if (written.policy !== undefined && identityOfTexts(policyTexts(written, '')) !== identityOfTexts(inForce.texts))
    streams.err(
      `compared with the policy that the daemon reports, which differs from ${policyFile}: sgctl verify ${policyFile} compares with the file\n`,
    );
  const located = await locateTexts(inForce.texts, host);
  if (located === undefined)
    throw new CommandError(
      'this sgctl cannot read the policy that the daemon has in force: are both of the same version?',
    );
  return located;
}

function isSame({ differences, unknown, leftOut }: TableComparison): boolean {
  return differences.length + unknown.length + leftOut.length === 0;
}

/** Further differences are only counted; `--json` has all. */
const MAX_SHOWN = 20;

/** `5,054 kinds of packet`. */
function kindsText(compared: number): string {
  return `${compared.toLocaleString('en-US')} kinds of packet`;
}

function format(comparison: TableComparison, policy: HostPolicy): string {
  const { differences, unknown, compared, leftOut } = comparison;
  if (isSame(comparison))
    return `the kernel does what the policy says: ${kindsText(compared)} checked, each for every address\n`;
  const shown = differences.slice(0, MAX_SHOWN).flatMap((difference) => [...differenceLines(difference, policy), '']);
  const more = differences.length - MAX_SHOWN;
  const isOther = differences.length + unknown.length > 0;
  return [
    isOther ? 'THE KERNEL DOES NOT DO what the policy says' : `no difference in ${kindsText(compared)}`,
    '',
    ...leftOutLines(leftOut),
    ...shown,
    ...(more > 0 ? [`and ${more} more ${more === 1 ? 'difference' : 'differences'}`, ''] : []),
    ...unknown.map(({ text }) => `a rule of another program, of unknown effect: ${text}`),
    ...(isOther ? ['to repair: sudo systemctl reload secgroupd, or sudo sgctl apply FILE', ''] : []),
  ].join('\n');
}

function differenceLines(difference: TableDifference, policy: HostPolicy): readonly string[] {
  const { direction, state, expected, found, family, remote, traffic, witness } = difference;
  const end = direction === 'inbound' ? 'from' : 'to';
  const rule =
    expected.rule === undefined
      ? 'no rule matches'
      : `${formatRuleName(expected.rule.origin)}  ${expected.rule.origin.span.file}:${expected.rule.origin.span.line}`;
  return [
    `${formatPlace(difference, [policy])}${difference.inVrf ? ' in a VRF' : ''}, ${state}: ${formatTraffic([traffic], family)} ${end} ${formatRemotes({ family, remotes: isWholeFamily({ family, ...remote }) ? 'any' : [{ family, ...remote }] })}`,
    `  policy  ${expected.action.padEnd(5)}  ${rule}`,
    `  kernel  ${found.padEnd(5)}  for example ${formatPacket(witness)}`,
  ];
}

/** Revoked flows are state, as conntrack's flows are, and no difference from the policy. */
function revokedText(flows: number): string {
  return flows === 0
    ? ''
    : `in addition, packets that the host sends on ${flows} revoked ${flows === 1 ? 'flow' : 'flows'} are dropped\n`;
}

/** The comparison as scripts read it: a contract. */
function toJson(comparison: TableComparison): object {
  return {
    same: isSame(comparison),
    compared: comparison.compared,
    differences: comparison.differences.map((difference) => ({
      interface: difference.interface ?? null,
      inVrf: difference.inVrf,
      direction: difference.direction,
      family: difference.family,
      state: difference.state,
      traffic: trafficToJson(difference.traffic, difference.family),
      remote: formatInterval({ family: difference.family, ...difference.remote }),
      policy: difference.expected.action,
      rule: difference.expected.rule === undefined ? null : reportRule(difference.expected.rule),
      kernel: difference.found,
      witness: packetToJson(difference.witness),
    })),
    unknownRules: comparison.unknown.map(({ text }) => text),
    leftOut: comparison.leftOut.map((difference) => ({
      interface: difference.interface ?? null,
      direction: difference.direction,
      family: difference.family,
    })),
  };
}
