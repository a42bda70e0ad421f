import { basename } from 'node:path';
import type { ReceivedStatus } from '#api/status-answer.ts';
import type { StyledText } from '#core/diagnostics/styled-text.ts';
import { interfaceMeantBy, whyStatusUnprotected } from '#core/meaning/unprotected-host.ts';
import type { OtherChain } from '#core/model/nft/other-table.ts';
import { localTime } from '#host/local-time.ts';
import { formatAlias } from './format-alias.ts';

function stateText(status: ReceivedStatus): string {
  switch (status.state) {
    case 'enforced':
      return `active${waitingEdit(status)}`;
    case 'refused':
      return `REFUSED, NOT active: ${mistakesText(status)}; the rules before stay active`;
    case 'failing':
      return 'NOT active: the kernel could not be changed';
    case 'cleared':
      return 'OFF (sgctl clear), until the policy changes, a reload or a restart. On again: systemctl reload secgroupd';
    case 'held':
      return `valid, but NOT active: ${pinnedText(status) ?? 'another policy'} is`;
    case 'starting':
      return 'starting';
  }
}

function mistakesText({ refusal }: ReceivedStatus): string {
  const count = refusal?.diagnostics.filter(({ severity }) => severity === 'error').length ?? 0;
  return count === 1 ? '1 mistake' : `${count} mistakes`;
}

/** The status as people read it. */
export function formatStatus(status: ReceivedStatus): StyledText {
  const { inForce, refusal, interfaces, unmanagedInterfaces, absentInterfaces } = status;
  const row = (name: string, value: string): string => `${name.padEnd(12)} ${value}`;
  const unprotected = whyStatusUnprotected(status);
  // The first line alone tells an open host from a protected one.
  const headline: StyledText =
    unprotected === undefined
      ? []
      : [{ style: 'error', text: unprotected.message }, `\n${row('', unprotected.help)}\n`];
  const state =
    unprotected !== undefined && status.state === 'enforced' ? 'valid, but it filters nothing here' : stateText(status);
  const lines = [
    row('policy', `${status.policyFile}: ${state}`),
    row(
      'in force',
      inForce === null
        ? 'no secgroupd rules: all traffic passes unless other tables block it'
        : `${versionText(status)}, ${inForce.since === null || inForce.ageSeconds === null ? 'since before the daemon started' : `since ${localTime(inForce.since)} (${formatAge(inForce.ageSeconds)})`}`,
    ),
    ...pinnedRows(status).map(([name, text]) => row(name, text)),
    // A daemon of an earlier version does not report it.
    ...(status.waitingFor ?? []).map(({ file, message }) => row('file', `waiting for ${file}: ${message}`)),
    // While the firewall is off the daemon asks no policy which host this is.
    ...(status.instance === null && status.state === 'cleared'
      ? []
      : [
          row(
            'this host',
            status.instance === '*' ? '* (no other instance is this host)' : (status.instance ?? 'no instance'),
          ),
        ]),
    ...interfaces.map(({ name, pattern, as, groups, rules }) =>
      row(
        'interface',
        `${name}${pattern === name ? '' : formatAlias({ pattern, as })}: ${groups.join(', ') || 'no groups, all denied'} (${rules.inbound} inbound, ${rules.outbound} outbound rules)`,
      ),
    ),
    ...(status.interfaceNotes ?? []).map(({ message, help }) => row('interface', `${message}; ${help}`)),
    // The headline names those of a host that nothing protects.
    ...(unprotected === undefined ? absentInterfaces : []).map((pattern) =>
      row('interface', formatAbsent(pattern, unmanagedInterfaces.names)),
    ),
    ...(unmanagedInterfaces.names.length === 0
      ? []
      : [
          row(
            unmanagedInterfaces.action === 'allow' ? 'not filtered' : 'denied',
            `${unmanagedInterfaces.names.join(', ')}: not in the policy; all traffic ${unmanagedInterfaces.action === 'allow' ? 'passes' : 'is denied'}`,
          ),
        ]),
    row('forwarded', 'not filtered: traffic of containers, virtual machines and routed networks passes'),
    ...(status.otherChains ?? []).map((chain) => row('others', formatOtherChain(chain))),
    ...(status.publishedPorts ?? []).map(({ table, protocol, port, to }) =>
      row('published', `${protocol} ${port} goes to ${to ?? 'a container'} by table ${table}, past these rules`),
    ),
    ...revokedRows(status).map((text) => row('revoked', text)),
    ...status.missingFeatures.map((feature) => row('missing', feature)),
    ...status.troubles.map(({ since, message }) => row('trouble', `${message} (since ${localTime(since)})`)),
    ...status.warnings.map(({ file, line, column, code, message }) =>
      row('warning', `${file}:${line}:${column}: [${code}] ${message}`),
    ),
    ...(status.driftsMended === 0
      ? []
      : [row('repaired', `other programs changed our rules; put back ${formatTimes(status.driftsMended)}`)]),
    ...(refusal === null ? [] : ['', `refused since ${localTime(refusal.since)}:`, refusal.text]),
  ];
  return [...headline, `${lines.join('\n')}\n`];
}

/** Says that an edit waits, so that nobody takes it for the policy in force. */
function waitingEdit({ state, waitingFor = [] }: ReceivedStatus): string {
  const [first] = waitingFor;
  if (state !== 'enforced' || first === undefined) return '';
  const files = waitingFor.length === 1 ? basename(first.file) : `${waitingFor.length} files`;
  return `, but edits of ${files} wait`;
}

function formatAbsent(pattern: string, unmanaged: readonly string[]): string {
  const meant = pattern.endsWith('*') ? undefined : interfaceMeantBy(pattern, unmanaged);
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`;
  return `${pattern}: named in the policy, but this host has none${hint}`;
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function formatTimes(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** Rows on revoked flows; none from a daemon of an earlier version. */
function revokedRows({ revokedFlows }: ReceivedStatus): readonly string[] {
  if (revokedFlows === undefined) return [];
  const { remembered, leftOut, trouble } = revokedFlows;
  return [
    ...(remembered === 0
      ? []
      : [`${countOf(remembered, 'live flow')} that earlier rules allowed; packets of their clients are dropped`]),
    ...(leftOut === 0
      ? []
      : [`${countOf(leftOut, 'flow')} MORE THAN CAN BE REMEMBERED: restart the servers of the ports that were closed`]),
    ...(trouble === null ? [] : [`live flows could not be read, retrying: ${trouble}`]),
  ];
}

/** The policy in force in place of the policy file; undefined if there is none. */
function pinnedText({ trial, pinned }: ReceivedStatus): string | undefined {
  if (trial !== null) return 'a policy on trial';
  if (pinned === null) return undefined;
  if (pinned.origin === 'try') return 'a policy confirmed after a trial';
  return pinned.version === null ? 'the policy before a trial' : `version ${pinned.version}, after \`sgctl rollback\`,`;
}

/** Rows on a policy in force in place of the policy file. */
function pinnedRows(status: ReceivedStatus): readonly (readonly [name: string, text: string])[] {
  const { trial, pinned } = status;
  if (trial !== null)
    return [['ON TRIAL', `${trial.file}, ${trial.secondsLeft} s left; sgctl confirm keeps it, sgctl rollback ends it`]];
  if (pinned === null) return [];
  return [['pinned', 'until that file changes or the daemon is reloaded']];
}

/** The policy in force, by its number in `sgctl history`. */
function versionText({ inForce, trial, pinned }: ReceivedStatus): string {
  if (trial !== null) return 'the policy on trial';
  const version = inForce?.version ?? null;
  if (version === null) return 'rules of no known version';
  const again = pinned?.version ?? null;
  return again === null ? `version ${version}` : `version ${version} (${again} again)`;
}

/** The effect of another table's chain: a packet has to pass every table, so the strictest one decides. */
function formatOtherChain({ table, chain, type, hook, policy, madeBy }: OtherChain): string {
  const by = madeBy.length === 0 ? '' : `${madeBy.join(' and ')}: `;
  const name = `${by}table ${table}, chain ${chain} (${hook})`;
  if (type === 'nat')
    return `${name} can redirect packets: those sent on to containers are not filtered here, those sent to a port of this host are filtered by that port`;
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
