import type { Streams } from '#cli/framework/command.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import { createChangeEvaluator } from '#core/meaning/flows/change-evaluator.ts';
import { ownAddresses } from '#core/meaning/flows/flow-evaluator.ts';
import type { HostInterface, HostPolicy } from '#core/model/policy/host.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import { readFlowSockets } from '#host/flow-sockets.ts';
import { readFlowLimits } from '#kernel/conntrack/conntrack-state.ts';
import { createRevocation } from '#kernel/conntrack/revocation.ts';

/** Revokes live flows for a command that applies a policy, as the daemon does. A failure is printed and ends nothing. */
export interface LiveFlows {
  /** Adds the live flows of sockets to conntrack. */
  seed(): Promise<void>;
  /** Revokes the flows that `now` denies; returns whether all flows were evaluated. */
  cut(now: HostPolicy, was: PoliciesInForce): Promise<boolean>;
  close(): void;
}

/** The policies in force before. */
export interface PoliciesInForce {
  readonly before: readonly HostPolicy[];
  /** Whether these are all since flows were last evaluated. */
  readonly isBeforeKnown: boolean;
}

/** The live flows of a host with these interfaces; `streams` takes the failures. */
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
      streams.err(`sgctl apply: live flows could not be read: ${errorText(error)}
`);
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
