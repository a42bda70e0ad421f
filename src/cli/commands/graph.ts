import { type Command, EXIT, UsageError } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { placementOf, readPolicyOrExplain } from '#cli/input/load.ts';
import { WITHIN, workWithin } from '#cli/input/within-option.ts';
import { WAIT_LONGER } from '#cli/present/format-left-out.ts';
import { mermaidOf } from '#cli/present/graph-mermaid.ts';
import { type Graph, graphOf } from '#cli/present/graph-model.ts';
import { htmlOf, svgOf } from '#cli/present/graph-svg.ts';
import { printable } from '#core/diagnostics/printable.ts';
import { policyReachability } from '#core/meaning/reach/policy-reachability.ts';
import { shownName } from '#host/files/placed-reader.ts';
import { writeFileAtomically } from '#host/files/write-file.ts';

const FORMATS = ['mermaid', 'svg', 'html', 'json'] as const;

/** `sgctl graph [FILE]`: draws who can reach whom. */
export const graph: Command = {
  name: 'graph',
  summary:
    'Draws who can open connections to whom, and on which ports: external addresses and the interfaces of all instances, as the rules of both ends allow. Access open to anyone is shown once.',
  usage: '[FILE] [--as PATH] [--format mermaid|svg|html] [--output FILE] [--within SECONDS]',
  options: {
    as: OPTION.as,
    format: {
      type: 'string',
      value: 'FORMAT',
      choices: FORMATS,
      help: 'mermaid, svg, html or json; default: by the ending of the --output file, else mermaid',
    },
    output: { type: 'string', short: 'o', value: 'FILE', help: 'write there instead of to standard output' },
    within: WITHIN,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: ['sgctl graph -o policy.html', 'sgctl graph policy.yaml --format svg > policy.svg', 'sgctl graph'],
  exitNo: 'the policy is not valid',
  async run(line, streams) {
    const output = line.text('output');
    const ending = output === undefined ? undefined : /\.(svg|html|json)$/.exec(output)?.[1];
    const requested = line.given('json') ? 'json' : (line.text('format') ?? ending ?? 'mermaid');
    const format = FORMATS.find((name) => name === requested);
    if (format === undefined) throw new UsageError(`--format is one of ${FORMATS.join(', ')}`);
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const policy = await readPolicyOrExplain(await placementOf(line, file), streams);
    if (policy === undefined) return EXIT.no;
    const found = await workWithin(line, { streams, what: 'tracing connections' }, (patience) =>
      policyReachability(policy, patience),
    );
    for (const { groups } of found.leftOut)
      streams.err(`not drawn, because time ran out: who reaches ${groups.join(' + ') || 'no groups'}\n`);
    if (found.leftOut.length > 0) streams.err(`help: ${WAIT_LONGER}\n`);
    const status = found.leftOut.length > 0 ? EXIT.failed : EXIT.success;
    const text = printable(draw(graphOf(found), format, shownName(file)));
    if (output === undefined) {
      streams.out(text);
      return status;
    }
    await writeFileAtomically(output, text, 0o644);
    streams.err(`${output}: written\n`);
    return status;
  },
};

/** Draws the picture. Its title holds a file name, and people print such files on terminals. */
function draw(picture: Graph, format: (typeof FORMATS)[number], file: string): string {
  const title = `who reaches whom: ${file}`;
  switch (format) {
    case 'mermaid':
      return mermaidOf(picture);
    case 'svg':
      return svgOf(picture, title);
    case 'html':
      return htmlOf(picture, title);
    case 'json':
      return `${JSON.stringify(picture, null, 2)}\n`;
  }
}
