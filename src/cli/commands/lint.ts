import { type Command, EXIT, UsageError } from '#cli/framework/command.ts';
import { DEFAULT_POLICY_FILE, OPTION } from '#cli/framework/options.ts';
import { placementOf, printDiagnostics, readHostIfPossible, readPolicy } from '#cli/input/load.ts';
import { warnWhereRefused } from '#cli/input/refused-files.ts';
import { WITHIN, workWithin } from '#cli/input/within-option.ts';
import { WAIT_LONGER } from '#cli/present/format-left-out.ts';
import { joinAlike } from '#cli/present/lint-alike.ts';
import { packetToJson } from '#cli/present/packet-json.ts';
import { type Reportable, styleDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { LINT_CODES } from '#core/diagnostics/lint-codes.ts';
import { formatPacket } from '#core/meaning/evaluate/packet-text.ts';
import type { LintFinding } from '#core/meaning/lint/finding.ts';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import { shownName } from '#host/files/placed-reader.ts';

const FAIL_ON = ['warning', 'info', 'never'] as const;

/** `sgctl lint [FILE]`: reports what is valid and still questionable. */
export const lint: Command = {
  name: 'lint',
  summary:
    'Advises on a policy, for all its instances: what is open to everyone, rules without effect (proved, with the rules that come first and a packet), contradictions, unused groups; and, if this host is one of the instances, interfaces whose names carry no traffic. Accept a finding that is intended in the file: `lint: { CODE: REASON }` in a rule, a group or at the top.',
  usage: '[FILE] [--as PATH] [--fail-on warning|info|never] [--all] [--within SECONDS]',
  options: {
    as: OPTION.as,
    'fail-on': {
      type: 'string',
      value: 'LEVEL',
      choices: FAIL_ON,
      help: 'exit status 1 if a finding is at least this severe: warning, info or never (default)',
    },
    all: { type: 'boolean', help: 'show each finding, also where many rules have the same one' },
    within: WITHIN,
    json: OPTION.json,
    help: OPTION.help,
  },
  maxPositionals: 1,
  examples: ['sgctl lint', 'sgctl lint policy.yaml --fail-on warning', "sgctl lint --json | jq '.findings[].code'"],
  exitNo: 'the policy is not valid, or a finding is at least as severe as --fail-on says',
  async run(line, streams) {
    const level = FAIL_ON.find((name) => name === (line.text('fail-on') ?? 'never'));
    if (level === undefined) throw new UsageError(`--fail-on is one of ${FAIL_ON.join(', ')}`);
    const file = line.positionals[0] ?? DEFAULT_POLICY_FILE;
    const loaded = await readPolicy(await placementOf(line, file));
    await warnWhereRefused({ file, at: line.text('as'), loaded }, streams);
    if (loaded.policy === undefined) {
      printDiagnostics(loaded, streams);
      return EXIT.no;
    }
    const { policy } = loaded;
    const host = await readHostIfPossible();
    const about = { streams, what: 'checking rules' };
    const { findings, accepted, leftOut } = await workWithin(line, about, (patience) =>
      lintPolicy(policy, { host, patience }),
    );
    if (line.given('json')) {
      const all = {
        findings: findings.map(findingToJson),
        accepted: accepted.map(({ finding, because }) => ({ ...findingToJson(finding), because })),
        leftOut,
      };
      streams.out(`${JSON.stringify(all, null, 2)}\n`);
    } else {
      const sourceOf = (name: string): string | undefined => loaded.sources.get(name);
      for (const finding of line.given('all') ? findings : joinAlike(findings)) {
        streams.out(styleDiagnostic(reportableOf(finding), sourceOf));
        streams.out('\n\n');
      }
      for (const what of leftOut) streams.out(`not checked in time: ${what}\n`);
      if (leftOut.length > 0) streams.out(`help: ${WAIT_LONGER}\n`);
      streams.out(
        `${shownName(file)}: ${countText(findings, accepted.length)}${leftOut.length === 0 ? '' : ', not all checked'}\n`,
      );
    }
    // What was left out may hold a finding.
    return isFailure(findings, level) || (level !== 'never' && leftOut.length > 0) ? EXIT.no : EXIT.success;
  },
};

function isFailure(findings: readonly LintFinding[], level: (typeof FAIL_ON)[number]): boolean {
  if (level === 'never') return false;
  return findings.some(({ code }) => level === 'info' || LINT_CODES[code].severity === level);
}

/** Further rules of a finding are only counted. */
const MAX_RELATED = 6;

/** A finding as people read it. */
export function reportableOf({ code, span, message, help, related, witness }: LintFinding): Reportable {
  const shown = related.slice(0, MAX_RELATED);
  const more = related.length - shown.length;
  const packet =
    witness === undefined
      ? ''
      : `; for example ${formatPacket(witness.packet)}, on ${witness.packet.interface} of ${witness.instance}`;
  return {
    code,
    severity: LINT_CODES[code].severity,
    span,
    message: `${message}${packet}`,
    help: more === 0 ? help : `${help} (and ${more} more ${more === 1 ? 'rule' : 'rules'})`,
    related: shown,
  };
}

function countText(findings: readonly LintFinding[], accepted: number): string {
  const warnings = findings.filter(({ code }) => LINT_CODES[code].severity === 'warning').length;
  const notes = findings.length - warnings;
  const silent = accepted === 0 ? '' : `, ${accepted} accepted`;
  return findings.length === 0
    ? `no findings${silent}`
    : `${warnings} warning${warnings === 1 ? '' : 's'}, ${notes} info${silent}`;
}

/** A finding as scripts read it: a contract. */
function findingToJson({ code, span, message, help, related, witness }: LintFinding): object {
  const { file, line, column } = span;
  return {
    code,
    severity: LINT_CODES[code].severity,
    message,
    file,
    line,
    column,
    help,
    related: related.map((place) => ({
      message: place.message,
      file: place.span.file,
      line: place.span.line,
      column: place.span.column,
    })),
    witness: witness === undefined ? null : { instance: witness.instance, ...packetToJson(witness.packet) },
  };
}
