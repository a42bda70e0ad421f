import { askDaemon } from '#api/daemon-client.ts';
import { ROUTES } from '#api/routes.ts';
import { CommandError } from '#cli/framework/command.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { readerOfTexts } from '#host/files/policy-texts.ts';

/** The policy in force as the daemon reports it, or that no rules of ours are. */
export type InForcePolicy =
  | { readonly kind: 'policy'; readonly version: number | undefined; readonly texts: PolicyTexts }
  | { readonly kind: 'nothing' };

/** Asks the daemon for the policy in force. Throws a CommandError if there is no daemon, or it does not have the policy. */
export async function policyInForce(
  socket: string,
  otherwise = 'name the file to compare with: --against FILE',
): Promise<InForcePolicy> {
  const answer = await askDaemon(socket, ROUTES.policy);
  if (answer === undefined) {
    throw new CommandError(`no daemon serves ${socket}\nhelp: systemctl start secgroupd, or ${otherwise}`);
  }
  if (answer.inForce === null) return { kind: 'nothing' };
  if (answer.policy === null) {
    throw new CommandError(
      `the rules in force are from an earlier run of the daemon, and it does not have their policy\nhelp: ${otherwise}`,
    );
  }
  return { kind: 'policy', version: answer.inForce.version ?? undefined, texts: answer.policy };
}

/** A policy that was in force, as it applies to this host; undefined if this version of sgctl cannot read it. */
export async function locateTexts(texts: PolicyTexts, host: HostState): Promise<HostPolicy | undefined> {
  const { policy } = await createPolicyLoader(readerOfTexts(texts))();
  if (policy === undefined) return undefined;
  const located = locateHost(policy, host, texts.instance);
  return located.kind === 'found' ? located.hostPolicy : undefined;
}
