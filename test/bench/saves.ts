import { createHome, type RunningDaemon, startDaemon } from './daemon.ts';
import { memberAddresses, membersPolicyText, policyText } from './generated-policy.ts';
import { cellsOf, type Result, type Row, type Settings } from './measurement.ts';
import { createSite, type Host, runIn, unload } from './site.ts';

const OURS = 'secgroupd';

/** Two texts to save in turns, and how many transactions the daemon needs from one to the other. */
interface Edit {
  readonly case: Readonly<Record<string, string | number>>;
  readonly texts: readonly [string, string];
  readonly transactions: number;
}

/** How long after a policy file is saved it is in force, with the daemon at work. */
export async function saves({ root, scratch, quick, progress }: Settings): Promise<readonly Result[]> {
  const site = await createSite(root, [OURS]);
  const rows: Row[] = [];
  try {
    for (const edit of edits(quick)) {
      progress(Object.values(edit.case).join(' '));
      const samples = await measureEdit({ root, scratch, host: site.host(OURS), edit, count: quick ? 20 : 100 });
      rows.push({ case: edit.case, cells: cellsOf(new Map([[OURS, samples]]), undefined) });
    }
  } finally {
    await site.destroy();
  }
  return [
    {
      name: 'save',
      title: 'from the save of the policy file to it in force',
      unit: 'ms',
      floor: undefined,
      tail: true,
      rows,
    },
  ];
}

function edits(quick: boolean): readonly Edit[] {
  const rules = (count: number): Edit => {
    const spec = { rules: count, family: 'ipv4', groups: true } as const;
    return {
      case: { edit: 'a rule', of: count },
      texts: [policyText(spec), policyText({ ...spec, edited: true })],
      // The sets of a new generation first, then the chains: see the pipeline's changes.
      transactions: 2,
    };
  };
  const without = memberAddresses(1_000);
  const joining = {
    case: { edit: 'a member', of: without.length },
    texts: [membersPolicyText(without), membersPolicyText([...without, '203.0.113.9'])],
    transactions: 1,
  } as const;
  return [rules(10), rules(100), ...(quick ? [] : [rules(1_000)]), joining];
}

interface Measured extends Pick<Settings, 'root' | 'scratch'> {
  readonly host: Host;
  readonly edit: Edit;
  readonly count: number;
}

async function measureEdit({ root, scratch, host, edit, count }: Measured): Promise<readonly number[]> {
  unload(host.namespace);
  const home = createHome(scratch, edit.texts[0]);
  let daemon: RunningDaemon | undefined;
  try {
    daemon = await startDaemon(root, { namespace: host.namespace, home });
    const samples: number[] = [];
    for (let i = 1; i <= count; i += 1) {
      // Saves that come at once are one to the daemon; people's do not.
      await new Promise((resolve) => {
        setTimeout(resolve, 60);
      });
      const { milliseconds } = await host.endpoint.request<{ milliseconds: number }>('save', {
        file: home.policyFile,
        text: edit.texts[i % 2],
        transactions: edit.transactions,
      });
      const { stdout } = runIn(host.namespace, ['nft', 'list', 'set', 'inet', 'secgroupd', 'applied']);
      if (!stdout.includes(`generation ${i + 1} `)) throw new Error(`save ${i} is not what is in force: ${stdout}`);
      samples.push(milliseconds);
    }
    return samples;
  } finally {
    await daemon?.stop();
    home.remove();
  }
}
