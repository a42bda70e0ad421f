import type { Logger } from 'pino';
import type { Status } from '#api/status.ts';
import { whyStatusUnprotected } from '#core/meaning/unprotected-host.ts';

/** The status in one line, as `systemctl status` shows it. */
export function statusLine(status: Status): string {
  const { state, instance, inForce, refusal, troubles, trial, policyFile, waitingFor } = status;
  const unprotected = whyStatusUnprotected(status);
  if (unprotected !== undefined) return unprotected.message;
  const first = refusal?.diagnostics.find(({ severity }) => severity === 'error');
  if (first !== undefined)
    return `policy refused: ${first.file}:${first.line}:${first.column}: ${first.message}; what was in force still is`;
  if (troubles[0] !== undefined) return troubles[0].message;
  const [waiting] = waitingFor;
  if (waiting !== undefined) return `waiting for ${waiting.file}: ${waiting.message}`;
  if (trial !== null) return `a policy is on trial, for ${trial.secondsLeft} s more unless it is confirmed`;
  if (state === 'cleared') return 'firewall off (sgctl clear)';
  if (inForce === null) return 'nothing in force yet';
  const version = (inForce.version ?? null) === null ? '' : `, version ${inForce.version}`;
  return `${policyFile} in force as ${instance ?? 'no instance'}${version}`;
}

/** Returns what logs, once each time, that the rules judge no packet of this host, and that they do again. */
export function createProtectionNotices(log: Logger): (status: Status) => void {
  let warned: string | undefined;
  return (status) => {
    const unprotected = whyStatusUnprotected(status);
    if (unprotected?.message === warned) return;
    warned = unprotected?.message;
    if (unprotected === undefined) log.info('the policy names an interface of this host again');
    else log.error({ help: unprotected.help }, unprotected.message);
  };
}
