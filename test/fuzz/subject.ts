import { createHash } from 'node:crypto';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { loadPolicy } from '#core/load-policy.ts';
import { scriptText } from '#core/model/nft/script.ts';
import { planChange } from '#core/plan-change.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { readAddress } from '../oracle/read-literals.ts';
import type { FuzzInput } from './input.ts';

/** What became of an input. */
export interface Outcome {
  /** The whole script, of each instance of an accepted policy. */
  readonly scripts: readonly string[];
  /** Inputs of which this is the same went the same ways, as far as one can see from outside. */
  readonly feature: string;
  readonly milliseconds: number;
}

const INTERFACES = [
  { index: 1, name: 'lo', addresses: ['127.0.0.1', '::1'].map(readAddress) },
  { index: 2, name: 'eth0', addresses: ['10.1.0.1', '2001:db8:1::1', 'fe80::1'].map(readAddress) },
];

/** So many instances of a policy are rendered. */
const MOST_INSTANCES = 2;

/** Parses, analyzes, compiles and renders; throws what is no right answer to any input. */
export async function understand({ main, dropIn, dropInName, list }: FuzzInput): Promise<Outcome> {
  const began = performance.now();
  const loaded = await loadPolicy({
    readPolicy: async () => ({ kind: 'text', file: 'policy.yaml', text: main }),
    readDropIns: async () => ({
      read: dropIn === undefined ? [] : [{ kind: 'text', file: `policy.d/${dropInName}.yaml`, text: dropIn }],
      passedOver: [],
    }),
    readList: async (_, name) => ({ kind: 'text', file: `/lists/${name}`, text: list }),
  });
  const { policy, diagnostics } = loaded;
  const isRefused = diagnostics.some(({ severity }) => severity === 'error');
  if (isRefused !== (policy === undefined))
    throw new Error('a policy is refused without a mistake, or has one and is not');
  for (const diagnostic of diagnostics.slice(0, 5)) {
    const shown = formatDiagnostic(diagnostic, (file) => loaded.sources.get(file));
    if (/[\p{Cc}\p{Cf}]/u.test(shown.replaceAll('\n', ''))) throw new Error('a diagnostic speaks to the terminal');
  }
  const names = [...(policy?.instances.keys() ?? [])].slice(-MOST_INSTANCES);
  const scripts = names.map((name) => {
    if (policy === undefined) throw new Error('unreachable');
    const host = { hostname: name, machineId: '', interfaces: INTERFACES };
    const located = locateHost(policy, host, name);
    if (located.kind !== 'found') throw new Error(`an instance of the policy is not in it: ${name}`);
    return scriptText(planChange(located.hostPolicy, undefined, hashContent).whole());
  });
  const milliseconds = performance.now() - began;
  for (const script of scripts) sayNothingElse(script);
  const codes = [...new Set(diagnostics.map(({ code }) => code))].toSorted();
  return { scripts, feature: digest([...codes, ...new Set(scripts.flatMap(shapes))].join('\n')), milliseconds };
}

function digest(text: string): string {
  return createHash('sha1').update(text).digest('base64');
}

const NAME = String.raw`[A-Za-z0-9_/.*-]+`;

/** What a line of a script may be once its comment is taken away; nothing a policy says is anywhere else. */
const LINES = [
  /^$/,
  /^(?:add|delete|flush) table inet secgroupd$/,
  /^table inet secgroupd \{$/,
  new RegExp(`^(?:add|delete|flush) (?:chain|set|map|limit) inet secgroupd ${NAME}(?: \\{[a-z0-9_ :;,/.-]*\\})?$`),
  new RegExp(`^add (?:element) inet secgroupd ${NAME} \\{[A-Za-z0-9_ :;,/."-]*\\}$`),
  new RegExp(`^add rule inet secgroupd ${NAME} [A-Za-z0-9_ :;,/.@!=<>(){}|&"*+~-]+$`),
  new RegExp(`^  (?:chain|set|map) ${NAME} \\{$`),
  /^ {4}[A-Za-z0-9_ :;,/.@!={}"*-]+$/,
  /^ {2,6}[A-Za-z0-9_ :;,/.@{}*-]+,?$/,
  /^ {2}\}$/,
  /^\}$/,
];

const COMMENT = / comment "[^"\\\n\p{Cc}]{0,128}"/gu;
const REMARK = /(?:^|\s)# [^\n\p{Cc}]*$/u;

/** Throws where a script has a line of no known form. */
function sayNothingElse(script: string): void {
  for (const line of script.split('\n')) {
    const bare = line.replace(REMARK, '').replaceAll(COMMENT, '').trimEnd();
    if (!LINES.some((form) => form.test(bare))) throw new Error(`a line of no known form: ${JSON.stringify(line)}`);
  }
}

/** The forms of a script's lines, names and numbers taken away. */
function shapes(script: string): readonly string[] {
  return script.split('\n').map((line) =>
    line
      .replace(REMARK, '')
      .replaceAll(COMMENT, '')
      .replaceAll(/inet secgroupd \S+/g, 'IN')
      .replaceAll(/[0-9a-f:.]*[0-9][0-9a-f:./-]*/g, '0')
      .replaceAll(/(?:goto|jump|@)\s*\S+/g, 'TO')
      .replaceAll(/(?:0,? ?)+/g, '0'),
  );
}
