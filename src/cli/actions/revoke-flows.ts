import { TABLE } from '#core/translate/5-render/names.ts';
import { ownAddresses } from '#core/meaning/flows/flow-evaluator.ts';
import { createChangeEvaluator } from '#core/meaning/flows/change-evaluator.ts';
import { readFlowLimits } from '#kernel/conntrack/conntrack-state.ts';
import { readFlowSockets } from '#host/flow-sockets.ts';
import type { HostInterface, HostPolicy } from '#core/model/policy/host.ts';
import { createRevocation } from '#kernel/conntrack/revocation.ts';
import type { Streams } from '#cli/framework/command.ts';
import { errorText } from '#core/diagnostics/error-text.ts';

/** What a command that applies a policy does about live flows, as the daemon does; trouble is printed, and ends nothing. */
export interface LiveFlows {
  /** Has conntrack know the live flows of sockets. */
  seed(): Promise<void>;
  /** Revokes what `now` denies. Returns whether all flows were judged. */
  cut(now: HostPolicy, was: PoliciesInForce): Promise<boolean>;
  close(): void;
}

/** What was in force, as far as that is known. */
export interface PoliciesInForce {
  readonly before: readonly HostPolicy[];
  /** Whether that is all that was since flows were judged last. */
  readonly isBeforeKnown: boolean;
}

/** The live flows of a host with these interfaces. */
export function liveFlows(interfaces: readonly HostInterface[], streams: Streams): LiveFlows {
  const revocation = createRevocation({
    table: TABLE,
    readSockets: readFlowSockets,
    readLimits: readFlowLimits,
    amend: (write) => write(),
  });
  const isOwn = ownAddresses(interfaces);
  const trying = async (step: () => Promise<unknown>): Promise<boolean> => {
    try {
      await step();
      return true;
    } catch (error) {
      const reason = errorText(error);
      streams.err(`sgctl apply: live flows could not be looked at: ${reason}\n`);
      return false;
    }
  };
  return {
    async seed() {
      await trying(() => revocation.seed(isOwn));
    },
    cut: (now, { before, isBeforeKnown }) =>
      trying(() => revocation.enforce({ isOwn, ...createChangeEvaluator({ now, before }, interfaces), isBeforeKnown })),
    close: () => revocation.close(),
  };
}
