import type { HostPolicy, HostState } from '../../src/model/host.ts';
import type { Before, InForce } from '../../src/model/in-force.ts';
import type { PolicyReader } from '../../src/model/policy-reader.ts';
import { scriptText } from '../../src/model/script.ts';
import { stampOf } from '../../src/nft/stamp.ts';
import type { RenderedChange } from '../../src/4-render/render-change.ts';
import { loadPolicy, locateHost, planChange } from '../../src/pipeline.ts';
import type { PolicyTexts } from './generated-policy.ts';
import { loadNft } from './site.ts';

const HOST: HostState = { hostname: 'host', machineId: '', interfaces: [] };

/** The milliseconds of each part of a change. */
interface ChangeTimes {
  /** From the policy's text to what it means for the host. */
  readonly read: number;
  /** From there to the scripts. */
  readonly plan: number;
  /** Running nft on them. */
  readonly load: number;
}

/** The columns of what {@link recordTimes} records, the whole first. */
export const OUR_COLUMNS = { whole: 'secgroupd', reading: 'of it reading', loading: 'of it nft' } as const;

/** How many transactions the daemon needs for a change of each kind; for a swap, the new sets first, then the chains. */
export const TRANSACTIONS = { elements: 1, swap: 2 } as const;

/** Adds the times of a change to the samples of {@link OUR_COLUMNS}. */
export function recordTimes(samples: ReadonlyMap<string, number[]>, { read, plan, load }: ChangeTimes): void {
  samples.get(OUR_COLUMNS.whole)?.push(read + plan + load);
  samples.get(OUR_COLUMNS.reading)?.push(read);
  samples.get(OUR_COLUMNS.loading)?.push(load);
}

/** A change as it was made. */
export interface MadeChange {
  readonly times: ChangeTimes;
  readonly kind: RenderedChange['change']['kind'];
  readonly inForce: InForce;
  /** The whole of what is in force now, as one script for nft. */
  readonly wholeText: () => string;
}

/** Brings a policy into force in a namespace by the daemon's own steps, and times them. */
export async function change(namespace: string, texts: PolicyTexts, before: Before): Promise<MadeChange> {
  const began = performance.now();
  const hostPolicy = await readPolicy(texts);
  const readAt = performance.now();
  const { change: planned, whole } = planChange(hostPolicy, before, stampOf);
  const scripts = planned.transactions.map(({ script }) => scriptText(script));
  const plannedAt = performance.now();
  const load = scripts.reduce((sum, script) => sum + loadNft(namespace, script), 0);
  return {
    times: { read: readAt - began, plan: plannedAt - readAt, load },
    kind: planned.kind,
    inForce: planned.next,
    wholeText: () => scriptText(whole()),
  };
}

async function readPolicy({ text, list = '' }: PolicyTexts): Promise<HostPolicy> {
  const reader: PolicyReader = {
    readPolicy: async () => ({ kind: 'text', file: 'policy.yaml', text }),
    readDropIns: async () => [],
    readList: async (_document, name) => ({ kind: 'text', file: name, text: list }),
  };
  const { policy, diagnostics } = await loadPolicy(reader);
  if (policy === undefined) throw new Error(diagnostics.map(({ message }) => message).join('\n'));
  const located = locateHost(policy, HOST, 'host');
  if (located.kind === 'absent') throw new Error(located.message);
  return located.hostPolicy;
}
