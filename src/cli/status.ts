import { basename } from 'node:path';
import { TABLE, TABLE_NAMES } from '../4-render/names.ts';
import type { StyledText } from '../diagnostics/styled-text.ts';
import type { OtherChain } from '../model/other-table.ts';
import type { InterfaceStatus, Status } from '../model/status.ts';
import { createNft } from '../nft/nft.ts';
import { readInForce } from '../nft/table.ts';
import { interfaceMeantBy, whyStatusUnprotected } from '../unprotected-host.ts';
import { type Command, EXIT, type ExitStatus, UnableError } from './command.ts';
import { type AnsweredStatus, STATUS } from './daemon-answers.ts';
import { askDaemon } from './daemon-client.ts';
import { OPTION, socketPath } from './options.ts';

/** `sgctl status`: what is in force, and what keeps the newest policy from being it. */
export const status: Command = {
  name: 'status',
  summary:
    'Shows what the daemon enforces, on which interfaces, and why the newest policy is not in force if it is not. Exit status 0 says that the host is protected: by the newest policy, or by one that somebody chose in its place (`sgctl try`, `sgctl rollback`). It is 1 where the newest policy is refused or the kernel refuses it, where the rules are removed or not there yet, where they name no interface of this host, and where something keeps the daemon from its work; and 3 where no daemon answers.',
  usage: '',
  options: { json: OPTION.json, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  mostPositionals: 0,
  examples: [
    'sgctl status',
    'sgctl status >/dev/null || echo "look at the firewall of $(hostname)"',
    "sgctl status --json | jq '.refusal'",
  ],
  async run(line, streams) {
    const socket = socketPath(line);
    const known = await askDaemon(socket, { method: 'GET', path: '/v1/status', answer: STATUS });
    if (known === undefined) {
      throw new UnableError(
        `no daemon serves ${socket}\nhelp: systemctl start secgroupd. ${await rulesWithoutDaemon()}`,
      );
    }
    streams.out(line.given('json') ? `${JSON.stringify(known, null, 2)}\n` : formatStatus(known));
    return exitOf(known);
  },
};

/** Of all states the two whose rules are those that somebody wants. */
function exitOf(known: AnsweredStatus): ExitStatus {
  const isWanted = known.state === 'enforced' || known.state === 'held';
  return isWanted && known.inForce !== null && known.protected !== false && known.troubles.length === 0
    ? EXIT.fine
    : EXIT.no;
}

/** What is in force where no daemon tells. */
async function rulesWithoutDaemon(): Promise<string> {
  const inForce =
    process.geteuid?.() === 0
      ? await readInForce(createNft(), TABLE_NAMES).then(
          (found) => (found === undefined ? 'nothing' : 'rules'),
          () => 'unknown',
        )
      : 'unknown';
  switch (inForce) {
    case 'rules':
      return `Rules that were in force still are: nft list table ${TABLE}`;
    case 'nothing':
      return `NOT PROTECTED: there are no rules of secgroupd on this host (no table ${TABLE})`;
    default:
      return `Rules that were in force before still are, if there were any: sudo nft list table ${TABLE}`;
  }
}

const STATE: Readonly<Record<Status['state'], string>> = {
  enforced: 'enforced',
  refused: 'REFUSED, NOT in force: the newest policy has mistakes; what was in force before still is',
  failing: 'NOT in force: the kernel could not be changed',
  cleared: 'OFF (sgctl clear), until the policy changes, a reload or a restart. On again: systemctl reload secgroupd',
  held: 'valid, and NOT in force: another policy is in its place',
  starting: 'starting',
};

function formatStatus(known: AnsweredStatus): StyledText {
  const { inForce, refusal, interfaces, unmanagedInterfaces, absentInterfaces } = known;
  const row = (name: string, value: string): string => `${name.padEnd(12)} ${value}`;
  const unprotected = whyStatusUnprotected(known);
  // Nobody who reads one line of it is to take an open host for a protected one.
  const headline: StyledText =
    unprotected === undefined
      ? []
      : [{ style: 'error', text: unprotected.message }, `\n${row('', unprotected.help)}\n`];
  const state =
    unprotected !== undefined && known.state === 'enforced'
      ? 'valid, and it filters nothing here'
      : `${STATE[known.state]}${waitingEdit(known)}`;
  const lines = [
    row('policy', `${known.policyFile}: ${state}`),
    row(
      'in force',
      inForce === null
        ? 'no secgroupd rules: all traffic passes unless other tables block it'
        : `generation ${inForce.generation}, ${inForce.since === null || inForce.ageSeconds === null ? 'since before the daemon started' : `since ${inForce.since} (${formatAge(inForce.ageSeconds)})`}`,
    ),
    ...pinnedRows(known).map((text) => row('policy', text)),
    // A daemon of an earlier version does not report it.
    ...(known.waitingFor ?? []).map(({ file, message }) => row('file', `waiting for ${file}: ${message}`)),
    row('instance', known.instance === '*' ? '* (no other entry is this host)' : (known.instance ?? 'none')),
    ...interfaces.map(({ name, pattern, as, groups, rules }) =>
      row(
        'interface',
        `${name}${judgedAs(name, pattern, as)}: ${groups.join(', ') || 'no groups, all denied'} (${rules.inbound} inbound, ${rules.outbound} outbound rules)`,
      ),
    ),
    ...(known.interfaceNotes ?? []).map(({ message, help }) => row('interface', `${message}; ${help}`)),
    ...absentInterfaces.map((pattern) => row('interface', formatAbsent(pattern, unmanagedInterfaces.names))),
    ...(unmanagedInterfaces.names.length === 0
      ? []
      : [
          row(
            'unmanaged',
            `${unmanagedInterfaces.names.join(', ')}: ${unmanagedInterfaces.action === 'allow' ? 'everything passes' : 'denied'}`,
          ),
        ]),
    row('forwarded', 'not filtered: traffic of containers, virtual machines and routed networks passes'),
    ...(known.otherChains ?? []).map((chain) => row('others', formatOtherChain(chain))),
    ...(known.publishedPorts ?? []).map(({ table, protocol, port, to }) =>
      row('published', `${protocol} ${port} goes to ${to ?? 'a container'} by table ${table}, past these rules`),
    ),
    ...revokedRows(known).map((text) => row('revoked', text)),
    ...known.missingFeatures.map((feature) => row('missing', feature)),
    ...known.troubles.map(({ since, message }) => row('trouble', `${message} (since ${since})`)),
    ...known.warnings.map(({ file, line, column, code, message }) =>
      row('warning', `${file}:${line}:${column}: [${code}] ${message}`),
    ),
    ...(known.driftsMended === 0
      ? []
      : [row('drift', `other programs changed our rules; put back, ${formatTimes(known.driftsMended)}`)]),
    ...(refusal === null ? [] : ['', `refused since ${refusal.since}:`, refusal.text]),
  ];
  return [...headline, `${lines.join('\n')}\n`];
}

/** Nobody is to take what is in force for what was just written. */
function waitingEdit({ state, waitingFor = [] }: AnsweredStatus): string {
  const [first] = waitingFor;
  if (state !== 'enforced' || first === undefined) return '';
  const files = waitingFor.length === 1 ? basename(first.file) : `${waitingFor.length} files`;
  return `, but edits of ${files} wait`;
}

function formatAbsent(pattern: string, unmanaged: readonly string[]): string {
  const meant = pattern.endsWith('*') ? undefined : interfaceMeantBy(pattern, unmanaged);
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`;
  return `${pattern}: named in the policy, and this host has none now${hint}`;
}

function formatTimes(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** Nothing where a daemon from before does not tell. */
function revokedRows({ revokedFlows }: AnsweredStatus): readonly string[] {
  if (revokedFlows === undefined) return [];
  const { remembered, leftOut, trouble } = revokedFlows;
  return [
    ...(remembered === 0
      ? []
      : [`${remembered} live flows that the rules let in once; their clients are not heard again`]),
    ...(leftOut === 0 ? [] : [`${leftOut} flows MORE THAN CAN BE REMEMBERED: restart the servers of what was closed`]),
    ...(trouble === null ? [] : [`live flows could not be looked at, and it is tried again: ${trouble}`]),
  ];
}

/** The name or glob by which the policy judges an interface, where that is not its name. */
function judgedAs(name: string, pattern: string, as: InterfaceStatus['as']): string {
  if (pattern === name) return '';
  return as === 'altname'
    ? ` (by its other name ${pattern})`
    : as === 'vrf'
      ? ` (as its VRF: ${pattern})`
      : ` (${pattern})`;
}

/** Why what is in force is not what the policy file says. */
function pinnedRows({ trial, pinned, policyFile }: AnsweredStatus): readonly string[] {
  if (trial !== null)
    return [`ON TRIAL: ${trial.file}, ${trial.secondsLeft} s left; sgctl confirm keeps it, sgctl rollback ends it`];
  if (pinned === null) return [];
  const what =
    pinned.origin === 'try'
      ? 'a policy that was tried and confirmed'
      : pinned.version === null
        ? 'what was in force before a trial'
        : `version ${pinned.version} of sgctl history`;
  return [`NOT ${policyFile}, but ${what}, until that file changes or the daemon is reloaded`];
}

/** Who wins: a packet has to pass every table, so the strictest one. */
function formatOtherChain({ table, chain, type, hook, policy, madeBy }: OtherChain): string {
  const by = madeBy.length === 0 ? '' : `${madeBy.join(' and ')}: `;
  const name = `${by}table ${table}, chain ${chain} (${hook})`;
  if (type === 'nat')
    return `${name} redirects: ports published to containers are forwarded there, and not judged here`;
  return policy === 'drop'
    ? `${name} drops what it does not accept itself, whatever is allowed here`
    : `${name} can drop what is allowed here`;
}

function formatAge(seconds: number): string {
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
  ];
  const unit = units.find(([, size]) => seconds >= size);
  return unit === undefined ? `${seconds} s ago` : `${Math.floor(seconds / unit[1])} ${unit[0]} ago`;
}
