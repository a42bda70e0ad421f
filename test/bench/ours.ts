import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { PolicyTexts } from './generated-policy.ts';

/** The bundle of ours-program.ts, which run.mjs makes: a netlink socket belongs to the namespace of its process. */
const PROGRAM = process.env['SECGROUPD_BENCH_PROGRAM'] ?? '';

/** The milliseconds of each part of a change. */
interface ChangeTimes {
  /** From the policy's text to what it means for the host. */
  readonly read: number;
  /** From there to what has to be done. */
  readonly plan: number;
  /** Doing it, by nft and netlink. */
  readonly load: number;
}

/** What the program is asked: to bring a policy into force, or for all that is in force as one script. */
export type OurRequest =
  | {
      readonly kind: 'change';
      readonly texts: PolicyTexts;
      /** Where it is the first: whether anybody may be tracking flows. */
      readonly begin: 'untracked' | 'tracked' | undefined;
    }
  | { readonly kind: 'whole' };

/** What it answers. */
export type OurAnswer =
  | { readonly times: ChangeTimes; readonly kind: 'none' | 'elements' | 'labels' | 'swap' }
  | { readonly text: string }
  | { readonly error: string };

/** A change as it was made. */
type MadeChange = Extract<OurAnswer, { readonly times: ChangeTimes }>;

/** The columns of what {@link recordTimes} records, the whole first. */
export const OUR_COLUMNS = { whole: 'secgroupd', reading: 'of it reading', loading: 'of it kernel' } as const;

/** How many transactions the daemon needs for a change of each kind: of elements, these and then labels; of rules, what is new and then the switch. */
export const TRANSACTIONS = { elements: 2, swap: 2 } as const;

/** Adds the times of a change to the samples of {@link OUR_COLUMNS}. */
export function recordTimes(samples: ReadonlyMap<string, number[]>, { read, plan, load }: ChangeTimes): void {
  samples.get(OUR_COLUMNS.whole)?.push(read + plan + load);
  samples.get(OUR_COLUMNS.reading)?.push(read);
  samples.get(OUR_COLUMNS.loading)?.push(load);
}

/** The daemon's own steps in a namespace, without what else a daemon does. */
export interface Ours {
  /** Brings a first policy into force; flows are tracked already unless told. */
  begin(texts: PolicyTexts, flows?: 'untracked' | 'tracked'): Promise<MadeChange>;
  /** Brings another one into force. */
  change(texts: PolicyTexts): Promise<MadeChange>;
  /** The whole of what is in force now, as one script for nft. */
  wholeText(): Promise<string>;
  close(): Promise<void>;
}

/** Starts them in a namespace. */
export function openOurs(namespace: string): Ours {
  const child = fork(PROGRAM, [], {
    execPath: 'nsenter',
    execArgv: [`--net=/run/netns/${namespace}`, process.execPath],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ask = async (request: OurRequest): Promise<OurAnswer> => {
    child.send(request);
    const [answer] = (await once(child, 'message')) as [OurAnswer];
    if ('error' in answer) throw new Error(answer.error);
    return answer;
  };
  const make = async (texts: PolicyTexts, begin: 'untracked' | 'tracked' | undefined): Promise<MadeChange> => {
    const answer = await ask({ kind: 'change', texts, begin });
    if (!('times' in answer)) throw new Error('the program answered something else');
    return answer;
  };
  return {
    begin: (texts, flows = 'tracked') => make(texts, flows),
    change: (texts) => make(texts, undefined),
    async wholeText() {
      const answer = await ask({ kind: 'whole' });
      return 'text' in answer ? answer.text : '';
    },
    async close() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
