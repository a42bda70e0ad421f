import { createHome, type RunningDaemon, startDaemon } from './daemon.ts';
import { memberAddresses, membersPolicyText } from './generated-members.ts';
import { policyText } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { TRANSACTIONS } from './ours.ts';
import { createSite, type Host, runIn, unload } from './site.ts';

const OURS = 'secgroupd';

/** Two texts to save in turns, and how many transactions the daemon needs from one to the other. */
interface Edit {
  readonly case: Readonly<Record<string, string | number>>;
  readonly texts: readonly [string, string];
  readonly transactions: number;
  readonly count: number;
}

/** How long after a policy file is saved it is in force, with the daemon at work. */
export async function saves({ root, scratch, quick, progress }: Settings): Promise<readonly Result[]> {
  const site = await createSite(root, [OURS]);
  const rows: Row[] = [];
  try {
    for (const edit of edits(quick)) {
      progress(Object.values(edit.case).join(' '));
      const samples = await measureEdit({ root, scratch, host: site.host(OURS), edit });
      rows.push({ case: edit.case, cells: cellsOf(new Map([[OURS, samples]]), undefined) });
    }
  } finally {
    await site.destroy();
  }
  return [
    {
      name: 'save',
      title: 'from the save of the policy file, with so many rules a direction, to it in force',
      unit: 'ms',
      floor: undefined,
      tail: true,
      rows,
    },
  ];
}

function edits(quick: boolean): readonly Edit[] {
  const rules = (of: number, groups: boolean): Edit => {
    const spec = { rules: of, family: 'ipv4', groups } as const;
    return {
      case: { edit: 'a rule', of, remotes: groups ? 'a third groups' : 'networks' },
      texts: [policyText(spec), policyText({ ...spec, edited: true })],
      transactions: TRANSACTIONS.swap,
      count: quick ? 20 : of > 1_000 ? 50 : 100,
    };
  };
  const without = memberAddresses(1_000);
  const joining = {
    case: { edit: 'a member', of: without.length, remotes: '' },
    texts: [membersPolicyText(without), membersPolicyText([...without, '203.0.113.9'])],
    transactions: TRANSACTIONS.elements,
    count: quick ? 20 : 100,
  } as const;
  return [
    ...(quick ? [10, 1_000] : [10, 100, 1_000, 10_000]).map((of) => rules(of, false)),
    ...(quick ? [1_000] : [100, 500, 1_000]).map((of) => rules(of, true)),
    joining,
  ];
}

interface Measured extends Pick<Settings, 'root' | 'scratch'> {
  readonly host: Host;
  readonly edit: Edit;
}

async function measureEdit({ root, scratch, host, edit }: Measured): Promise<readonly number[]> {
  unload(host.namespace);
  const home = createHome(scratch, { text: edit.texts[0] });
  let daemon: RunningDaemon | undefined;
  try {
    daemon = await startDaemon(root, { namespace: host.namespace, home });
    const samples: number[] = [];
    for (let i = 1; i <= edit.count; i += 1) {
      const text = edit.texts[i % 2] ?? '';
      const { transactions } = edit;
      samples.push(await saveAndTime({ host, file: home.policyFile, text, transactions, generation: i + 1 }));
    }
    return samples;
  } finally {
    await daemon?.stop();
    home.remove();
  }
}

/** A save, the transactions that follow from it, and the generation that is in force after them. */
export interface Save {
  readonly host: Host;
  readonly file: string;
  readonly text: string;
  readonly transactions: number;
  readonly generation: number;
}

/** Saves a file that the host's daemon watches; the milliseconds until it is in force. Throws where it is not what is. */
export async function saveAndTime({ host, file, text, transactions, generation }: Save): Promise<number> {
  // Saves that come at once are one to the daemon; people's do not.
  await new Promise((resolve) => {
    setTimeout(resolve, 60);
  });
  const { milliseconds } = await host.endpoint.request<{ milliseconds: number }>('save', { file, text, transactions });
  const { stdout } = runIn(host.namespace, ['nft', 'list', 'set', 'inet', 'secgroupd', 'applied']);
  if (!stdout.includes(`generation ${generation} `)) {
    throw new Error(`not generation ${generation} is in force: ${stdout}`);
  }
  return milliseconds;
}
