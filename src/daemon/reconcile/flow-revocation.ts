import type { Logger } from 'pino';
import type { RevokedFlows } from '#api/status.ts';
import { createChangeEvaluator } from '#core/meaning/flows/change-evaluator.ts';
import { ownAddresses } from '#core/meaning/flows/flow-evaluator.ts';
import type { HostInterface, HostPolicy } from '#core/model/policy/host.ts';
import type { Revocation } from '#kernel/conntrack/revocation.ts';

/** A change of what the inbound rules let in. */
export interface PolicyChange {
  /** What was in force, as far as that is known. */
  readonly before: readonly HostPolicy[];
  /** Whether that is all that was since flows were looked at last. */
  readonly isBeforeKnown: boolean;
  readonly after: HostPolicy;
  readonly interfaces: readonly HostInterface[];
  /** Our table was made again, and has forgotten which flows were revoked. */
  readonly isTableNew: boolean;
  /** Called when flows have been judged by `after`. Never rejects. */
  readonly onJudged: () => Promise<void>;
}

/** Cuts the flows that a change revokes, beside the loop that makes changes. */
export interface FlowRevocation {
  /** Judges flows by a change that is in force, as soon as an earlier look is done. */
  after(change: PolicyChange): void;
  /** Has conntrack know the live flows of sockets. Problems are logged, and keep nothing out of force. */
  seed(interfaces: readonly HostInterface[]): Promise<void>;
  /** Our table was removed on request: nothing is left to judge. */
  forget(): void;
  status(): RevokedFlows;
  /** Ends; a look under way is finished first. */
  close(): Promise<void>;
}

const RENEW_MILLISECONDS = 3_600_000;
/** After a look the processor is left to other work for as long as the look took, at most this long. */
const MAX_REST_MILLISECONDS = 2_000;
const FIRST_RETRY_MILLISECONDS = 1_000;
const MAX_RETRY_MILLISECONDS = 60_000;
/** Changes that come while flows are looked at become one change; of more than this many policies, those in the middle are left out. */
const MAX_POLICIES_BEFORE = 16;

/** A revocation that has looked at nothing yet. */
export function createFlowRevocation(revocation: Revocation, log: Logger): FlowRevocation {
  let pending: Work | undefined;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  let leftOut = 0;
  let trouble: string | undefined;
  let isRenewalDue = false;
  /** How often our table was removed. */
  let forgotten = 0;
  let closed = false;

  // INVARIANT: one at a time, so that what is remembered and what the kernel holds change together.
  const start = (): void => {
    if (closed || running !== undefined || timer !== undefined || (pending === undefined && !isRenewalDue)) return;
    running = (pending === undefined ? renew() : look()).finally(() => {
      running = undefined;
      start();
    });
  };

  const look = async (): Promise<void> => {
    const work = pending;
    pending = undefined;
    if (work === undefined) return;
    const asOf = forgotten;
    const { after, interfaces } = work.last;
    const began = performance.now();
    try {
      const outcome = await revocation.enforce({
        isOwn: ownAddresses(interfaces),
        ...createChangeEvaluator({ now: after, before: work.before }, interfaces),
        isBeforeKnown: work.isBeforeKnown,
      });
      const milliseconds = performance.now() - began;
      tell(outcome, milliseconds);
      trouble = undefined;
      retryMilliseconds = FIRST_RETRY_MILLISECONDS;
      await work.last.onJudged();
      // With many flows a look takes a while; changes in close succession get one look for all of them.
      wait(Math.min(milliseconds, MAX_REST_MILLISECONDS));
    } catch (error) {
      // Without our table there is nothing to remember flows in, and nothing that judges them.
      if (forgotten !== asOf) return;
      const message = error instanceof Error ? error.message : String(error);
      if (trouble === undefined) log.warn({ err: error }, `revoked flows: trouble, tried again: ${message}`);
      trouble = message;
      pending = merged(work, pending);
      wait(retryMilliseconds);
      retryMilliseconds = Math.min(2 * retryMilliseconds, MAX_RETRY_MILLISECONDS);
    }
  };

  const tell = (
    { revoked, restored, leftOut: without }: Awaited<ReturnType<Revocation['enforce']>>,
    milliseconds: number,
  ): void => {
    if (without > 0 && leftOut === 0)
      log.warn(
        { flows: without },
        'too many flows were revoked at once: the kernel remembers those before, and clients of the others are heard again if conntrack forgets them while their server speaks',
      );
    leftOut = without;
    if (revoked === 0 && restored === 0) return;
    log.info(
      { revoked, restored, milliseconds: Math.round(milliseconds) },
      'live flows were revoked, or allowed again',
    );
  };

  const wait = (milliseconds: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = undefined;
      start();
    }, milliseconds);
    timer.unref();
  };

  const renew = async (): Promise<void> => {
    isRenewalDue = false;
    await revocation
      .renew()
      .catch((error: unknown) =>
        log.warn({ err: error }, 'revoked flows could not be renewed: tried again in an hour'),
      );
  };

  const renewing = setInterval(() => {
    isRenewalDue = true;
    start();
  }, RENEW_MILLISECONDS).unref();

  return {
    after(change) {
      if (change.isTableNew) revocation.refill();
      pending = merged(pending, { before: change.before, isBeforeKnown: change.isBeforeKnown, last: change });
      start();
    },
    async seed(interfaces) {
      try {
        const flows = await revocation.seed(ownAddresses(interfaces));
        if (flows > 0) log.info({ flows }, 'conntrack was told of live flows');
      } catch (error) {
        log.warn({ err: error }, 'conntrack could not be told of live flows: it takes who speaks first for the opener');
      }
    },
    forget() {
      pending = undefined;
      trouble = undefined;
      forgotten += 1;
      revocation.forget();
    },
    status: () => ({ remembered: revocation.count(), leftOut, trouble: trouble ?? null }),
    async close() {
      closed = true;
      clearTimeout(timer);
      clearInterval(renewing);
      await running;
      revocation.close();
    },
  };
}

type Work = Pick<PolicyChange, 'before' | 'isBeforeKnown'> & { readonly last: PolicyChange };

/** Two changes as one: what any policy before let in was let in. */
function merged(earlier: Work | undefined, later: Work | undefined): Work {
  if (earlier === undefined || later === undefined) return (earlier ?? later) as Work;
  const before = [...earlier.before, ...later.before];
  return {
    before: before.toSpliced(MAX_POLICIES_BEFORE - 1, before.length - MAX_POLICIES_BEFORE),
    isBeforeKnown: earlier.isBeforeKnown && later.isBeforeKnown,
    last: later.last,
  };
}
