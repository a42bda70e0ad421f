import { loadPolicy } from '#core/load-policy.ts';
import type { Before } from '#core/model/nft/in-force.ts';
import { scriptText } from '#core/model/nft/script.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { planChange } from '#core/plan-change.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';
import { applyChange } from '#kernel/nftables/apply-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { createElementWriter } from '#kernel/nftables/element-writer.ts';
import { createNft } from '#kernel/nftables/nft.ts';
import type { OurAnswer, OurRequest } from './ours.ts';

/*
 * Brings policies into force in the network namespace that it was started in, by the daemon's own steps, and times them.
 */

const HOST: HostState = { hostname: 'host', machineId: '', interfaces: [] };
const backends = { nft: createNft(), elements: createElementWriter() };
let before: Before;
let last: RenderedChange | undefined;

process.on('message', (request: OurRequest) => {
  answerTo(request).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ error: String(error) } satisfies OurAnswer),
  );
});
process.on('disconnect', () => process.exit());

async function answerTo(request: OurRequest): Promise<OurAnswer> {
  if (request.kind === 'whole') return { text: last === undefined ? '' : scriptText(last.whole()) };
  if (request.begin !== undefined) before = request.begin === 'untracked' ? 'untracked' : undefined;
  const began = performance.now();
  const hostPolicy = await readPolicy(request.texts);
  const readAt = performance.now();
  last = planChange(hostPolicy, before, hashContent);
  const plannedAt = performance.now();
  await applyChange(backends, last.change);
  const loadedAt = performance.now();
  before = last.change.next;
  return {
    times: { read: readAt - began, plan: plannedAt - readAt, load: loadedAt - plannedAt },
    kind: last.change.kind,
  };
}

async function readPolicy({ text, list = '' }: { readonly text: string; readonly list?: string }): Promise<HostPolicy> {
  const reader: PolicyReader = {
    readPolicy: async () => ({ kind: 'text', file: 'policy.yaml', text }),
    readDropIns: async () => ({ read: [], passedOver: [] }),
    readList: async (_document, name) => ({ kind: 'text', file: name, text: list }),
  };
  const { policy, diagnostics } = await loadPolicy(reader);
  if (policy === undefined) throw new Error(diagnostics.map(({ message }) => message).join('\n'));
  const located = locateHost(policy, HOST, 'host');
  if (located.kind === 'absent') throw new Error(located.message);
  return located.hostPolicy;
}
