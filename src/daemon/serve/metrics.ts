import type { Status } from '#api/status.ts';

/** The status in Prometheus' text format 0.0.4. */
export function formatMetrics(status: Status): string {
  const metrics: readonly (readonly [name: string, type: 'gauge' | 'counter', help: string, value: number])[] = [
    ['secgroupd_enforced', 'gauge', '1 if the newest policy file is in force', status.state === 'enforced' ? 1 : 0],
    [
      'secgroupd_protected',
      'gauge',
      '0 if no rules filter the packets of this host: none are in force, or they name none of its interfaces',
      status.protected ? 1 : 0,
    ],
    [
      'secgroupd_policy_refused',
      'gauge',
      '1 if the newest policy file has mistakes and is not in force',
      status.refusal === null ? 0 : 1,
    ],
    [
      'secgroupd_policy_age_seconds',
      'gauge',
      'time since the rules in force were applied',
      status.inForce?.ageSeconds ?? 0,
    ],
    ['secgroupd_generation', 'gauge', 'generation of the rules in force', status.inForce?.generation ?? 0],
    ['secgroupd_troubles', 'gauge', 'problems that the daemon reports', status.troubles.length],
    [
      'secgroupd_unmanaged_interfaces',
      'gauge',
      'interfaces that the policy does not name',
      status.unmanagedInterfaces.names.length,
    ],
    [
      'secgroupd_revoked_flows',
      'gauge',
      'revoked live flows that the kernel remembers',
      status.revokedFlows.remembered,
    ],
    ['secgroupd_changes_total', 'counter', 'changes brought into force', status.changesApplied],
    [
      'secgroupd_drift_mended_total',
      'counter',
      'changes of our table by other programs that were repaired',
      status.driftsMended,
    ],
  ];
  return metrics
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join('');
}
