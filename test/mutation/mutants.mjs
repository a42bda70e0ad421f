// Defects to plant, one at a time: each replaces one piece of text, that stands once in its file, by another.
// `by` names who must notice: `meaning` (evaluator against oracle and conformance cases) or `packets` (real packets).

const mutant = (name, file, from, to, by) => ({ name, file: `src/${file}`, from, to, by });

const RESOLVE = 'core/read/3-resolve/host-policy.ts';
const EVALUATE = 'core/meaning/evaluate/evaluate.ts';
const MATCH = 'core/meaning/evaluate/match-rule.ts';
const PLATFORM = 'core/meaning/evaluate/match-platform.ts';
const COMPILE = 'core/translate/4-compile/compile.ts';
const CHAIN_SETS = 'core/translate/4-compile/rule-chain-sets.ts';
const CHAIN_SET = 'core/translate/4-compile/compile-chain-set.ts';
const RULE_LIST = 'core/translate/4-compile/compile-rule-list.ts';
const PLATFORM_RULES = 'core/translate/4-compile/platform-rules.ts';
const STATE_RULES = 'core/translate/4-compile/state-rules.ts';
const TERMS = 'core/translate/4-compile/match-terms.ts';
const SETS = 'core/translate/4-compile/set-registry.ts';
const ENTRIES = 'core/model/net/address-entries.ts';
const RULES = 'core/translate/4-compile/rule-chains.ts';
const ADDRESS_RULES = 'core/translate/4-compile/address-rules.ts';
const SEGMENTS = 'core/translate/4-compile/segment-chains.ts';
const TREE = 'core/translate/4-compile/rule-tree.ts';
const VIEW = 'core/translate/4-compile/remote-view.ts';
const CLASSES = 'core/translate/4-compile/address-classes.ts';
const OBJECTS = 'core/translate/5-render/render-objects.ts';
const LABELS = 'core/translate/6-change/label-chains.ts';
const PORT_SEGMENTS = 'core/translate/4-compile/port-segments.ts';
const SWAP = 'core/translate/6-change/swap.ts';
const NAMES = 'core/translate/6-change/plan-names.ts';
const COMPARE = 'core/meaning/compare/compare-policies.ts';
const BOX_ENTRIES = 'core/meaning/headerspace/box-entries.ts';
const LOWEST_ACTIVE = 'core/meaning/headerspace/lowest-active.ts';
const FIRST_PACKETS = 'core/meaning/headerspace/find-first-packets.ts';
const GRID = 'core/meaning/headerspace/grid.ts';
const ADDRESS_PARTITION = 'core/meaning/headerspace/address-partition.ts';
const MEANING_RULE_LIST = 'core/meaning/headerspace/rule-list.ts';
const PROVE = 'core/meaning/assert/prove-assertion.ts';
const TRAFFIC_ATOMS = 'core/meaning/headerspace/traffic-atoms.ts';
const ACCOUNTS = 'core/translate/4-compile/logging-and-counters.ts';
const LINT_SCOPE = 'core/meaning/lint/lint-scope.ts';
const POSSIBLE = 'core/meaning/lint/possible-deciders.ts';
const EFFECTS = 'core/meaning/lint/rule-effects.ts';
const REDUNDANT = 'core/meaning/lint/redundant-rules.ts';
const RESOLVE_ADDRESSES = 'core/translate/4-compile/resolve-addresses.ts';

export const MUTANTS = [
  // The order of rules and who belongs to what: compiler and evaluator both stand on it.
  mutant('priorities run from 100 to 1', RESOLVE, 'a.priority - b.priority', 'b.priority - a.priority', 'meaning'),
  mutant('allow before deny at a tie', RESOLVE, "action === 'deny' ? 0 : 1", "action === 'deny' ? 1 : 0", 'meaning'),
  mutant(
    'groups in reverse order',
    RESOLVE,
    "=== 'sequence' ? groups : [",
    "=== 'sequence' ? groups.toReversed() : [",
    'meaning',
  ),
  mutant('merged evaluation is sequential', RESOLVE, ': [groups.flat()]', ': groups', 'meaning'),
  mutant(
    'the shorter glob wins',
    RESOLVE,
    'return b.pattern.length - a.pattern.length;',
    'return a.pattern.length - b.pattern.length;',
    'meaning',
  ),
  mutant(
    'a glob beats an exact name',
    RESOLVE,
    'return glob(a.pattern) ? 1 : -1;',
    'return glob(a.pattern) ? -1 : 1;',
    'meaning',
  ),
  mutant(
    'only the first address of a member counts',
    RESOLVE,
    'for (const address of addresses) of?.push',
    'for (const address of addresses.slice(0, 1)) of?.push',
    'meaning',
  ),
  mutant(
    "other hosts' members are forgotten",
    RESOLVE,
    "binding.addresses !== 'dynamic'",
    "binding.addresses !== 'dynamic' && instance === self",
    'meaning',
  ),
  mutant(
    'a template forgets IPv6',
    'core/read/2-analyze/templates.ts',
    'return families.map(',
    'return families.slice(0, 1).map(',
    'meaning',
  ),
  mutant(
    'icmp means ICMP in both families',
    'core/read/2-analyze/read-traffic.ts',
    "if (protocol === 'icmp') return { kind: 'protocol', protocol: icmpProtocol(family) };",
    "if (protocol === 'icmp') return { kind: 'protocol', protocol: icmpProtocol('ipv4') };",
    'meaning',
  ),
  mutant(
    'disabled rules are enabled',
    'core/read/2-analyze/read-rule.ts',
    'input.enabled === false',
    'false',
    'meaning',
  ),
  mutant(
    'two ranges with a gap of one are merged',
    ENTRIES,
    'next.from > last.to + 1n',
    'next.from > last.to + 2n',
    'meaning',
  ),
  mutant('adjacent ranges stay two', ENTRIES, 'next.from > last.to + 1n', 'next.from > last.to', 'meaning'),
  mutant(
    'a range that reaches further than the one before is cut off',
    ENTRIES,
    'else if (next.to > last.to)',
    'else if (next.to < last.to)',
    'meaning',
  ),
  mutant(
    'a host inside a range stays beside it',
    ENTRIES,
    'return kept.length === 0 ? hosts',
    'return kept.length >= 0 ? hosts',
    'meaning',
  ),
  mutant(
    'a host behind a range is swallowed',
    ENTRIES,
    'countBelow(hosts, to + 1n, first)',
    'countBelow(hosts, to + 2n, first)',
    'meaning',
  ),
  mutant(
    'a host at the end of a range stays beside it',
    ENTRIES,
    'countBelow(hosts, to + 1n, first)',
    'countBelow(hosts, to, first)',
    'meaning',
  ),
  mutant(
    "a range's last port is left out",
    'core/read/2-analyze/port-text.ts',
    'else ranges.push(range);',
    'else ranges.push({ from: range.from, to: Math.max(range.from, range.to - 1) });',
    'meaning',
  ),

  // The evaluator.
  mutant('evaluate: the first port of a range is left out', MATCH, 'from <= port', 'from < port', 'meaning'),
  mutant('evaluate: the last port of a range is left out', MATCH, 'port <= to', 'port < to', 'meaning'),
  mutant(
    'evaluate: the last address of an interval is left out',
    'core/model/net/interval.ts',
    'address.value <= interval.to',
    'address.value < interval.to',
    'meaning',
  ),
  mutant(
    'evaluate: an empty list means any',
    MATCH,
    'return isAmong(policy.addressGroups.get(remote.name), address);',
    `return (
        isAmong(policy.addressGroups.get(remote.name), address) ||
        Object.values(policy.addressGroups.get(remote.name) ?? {}).every(({ hosts, ranges }) => ranges.length + hosts.length === 0)
      );`,
    'meaning',
  ),
  mutant(
    'evaluate: a group without members means any',
    MATCH,
    'return isAmong(policy.members.get(remote.name), address);',
    `return (
        isAmong(policy.members.get(remote.name), address) ||
        Object.values(policy.members.get(remote.name) ?? {}).every(({ hosts }) => hosts.length === 0)
      );`,
    'meaning',
  ),
  mutant(
    'evaluate: the last address of a range in a list is left out',
    ENTRIES,
    'within !== undefined && value <= within.to',
    'within !== undefined && value < within.to',
    'meaning',
  ),
  mutant('evaluate: families are mixed up', MATCH, 'rule.family === packet.source.family &&', '', 'meaning'),
  mutant(
    'evaluate: the remote is the wrong end',
    MATCH,
    "packet.direction === 'inbound' ? packet.source",
    "packet.direction === 'outbound' ? packet.source",
    'meaning',
  ),
  mutant(
    'evaluate: the ICMP code is dropped',
    MATCH,
    "(traffic.code === 'any' || packet.icmpCode === traffic.code)",
    'true',
    'meaning',
  ),
  mutant(
    'evaluate: replies need a rule',
    EVALUATE,
    "if (packet.direction === 'inbound') return decide('allow', 'state');\n      // The flow",
    '// The flow',
    'meaning',
  ),
  mutant(
    'evaluate: live outbound flows are judged again',
    EVALUATE,
    "if (packet.direction === 'outbound') return decide('allow', 'state');",
    '',
    'meaning',
  ),
  mutant(
    'evaluate: answers outlive a revocation',
    EVALUATE,
    "if (rule?.action === 'allow') return",
    'return',
    'meaning',
  ),
  mutant(
    "evaluate: an answer's ports are not turned round",
    EVALUATE,
    'destinationPort: reply.sourcePort',
    'destinationPort: reply.destinationPort',
    'meaning',
  ),
  mutant(
    'evaluate: groups before management',
    EVALUATE,
    '[...policy.management[direction], ...ordered[direction]]',
    '[...ordered[direction], ...policy.management[direction]]',
    'meaning',
  ),
  mutant(
    'evaluate: invalid packets are matched',
    EVALUATE,
    "if (ordered.invalid === 'drop' && !isOwn) return decide('deny', 'state');",
    '',
    'meaning',
  ),
  mutant(
    'evaluate: related packets need a rule',
    EVALUATE,
    "if (isIcmpError(packet)) return decide('allow', 'state');",
    '',
    'meaning',
  ),
  mutant(
    'evaluate: invalid is dropped before platform traffic',
    EVALUATE,
    'if (platform !== undefined) return',
    "if (platform !== undefined && packet.state !== 'invalid') return",
    'meaning',
  ),
  mutant('evaluate: unmanaged interfaces pass', EVALUATE, "policy.unmanagedInterfaces === 'allow'", 'true', 'meaning'),
  mutant(
    'evaluate: no rule means allow',
    EVALUATE,
    "return decide('deny', 'default')",
    "return decide('allow', 'default')",
    'meaning',
  ),
  mutant(
    'evaluate: platform traffic may have passed a router',
    PLATFORM,
    'hopLimit === undefined || hopLimit === prescribed',
    'true',
    'meaning',
  ),
  mutant('evaluate: platform switches do nothing', PLATFORM, 'switches[flow.name] && ', '', 'meaning'),

  // The compiler.
  mutant(
    'compile: an allow becomes a drop',
    RULES,
    'verdict: verdicts.of(rule),',
    "verdict: verdicts.of(role === 'outbound' ? { ...rule, action: 'deny' } : rule),",
    'packets',
  ),
  mutant(
    'compile: a denied answer is dropped though outbound rules allow it',
    RULE_LIST,
    "deny: role === 'replyToInbound' ? { kind: 'return' } : counters.deny",
    'deny: counters.deny',
    'packets',
  ),
  mutant(
    'compile: the wrong port of an answer is looked at',
    TERMS,
    "replyToInbound: 'source',",
    "replyToInbound: 'destination',",
    'packets',
  ),
  mutant(
    'compile: the remote of outbound rules is the source',
    TERMS,
    "inbound: 'source',\n  outbound: 'destination',",
    "inbound: 'source',\n  outbound: 'source',",
    'packets',
  ),
  mutant(
    'compile: the remote of an answer is its source',
    TERMS,
    "replyToInbound: 'destination',",
    "replyToInbound: 'source',",
    'packets',
  ),
  mutant(
    'compile: the ICMP code is dropped',
    TERMS,
    '[{ ...traffic, types: [traffic.type] }]',
    "[{ ...traffic, types: [traffic.type], code: 'any' }]",
    'packets',
  ),
  mutant(
    'compile: an answer to a ping is taken for a ping',
    TERMS,
    'replies.map(([reply]) => reply)',
    'replies.map(([, request]) => request)',
    'packets',
  ),
  mutant(
    'compile: any means any of both families',
    TERMS,
    "case 'any':\n      return [[{ kind: 'family', family }]];",
    "case 'any':\n      return [[]];",
    'packets',
  ),
  mutant(
    'compile: hop limits are not looked at',
    TERMS,
    "code: match.code },\n        { kind: 'hopLimit', family, value: match.hopLimit },",
    'code: match.code },',
    'packets',
  ),
  mutant(
    "compile: a list's ranges are forgotten",
    SETS,
    "[half('hosts', hosts), half('ranges', ranges)]",
    "[half('hosts', hosts)]",
    'packets',
  ),
  mutant(
    "compile: a list's single addresses are forgotten",
    SETS,
    "[half('hosts', hosts), half('ranges', ranges)]",
    "[half('ranges', ranges)]",
    'packets',
  ),
  mutant('compile: only the first range of ports counts', SETS, 'ports.length === 1', 'ports.length >= 1', 'packets'),
  mutant('compile: sets of ports are mixed up', SETS, "${from}-${to}`).join(',')", "${from}`).join(',')", 'packets'),
  mutant(
    'compile: answers to outbound flows need a rule',
    CHAIN_SET,
    'rules: [...replyOfOutbound(opened), ',
    'rules: [',
    'packets',
  ),
  mutant('compile: live outbound flows are judged again', CHAIN_SET, 'liveOutbound(opened), ', '', 'packets'),
  mutant(
    'compile: all live flows pass outbound',
    STATE_RULES,
    "{ kind: 'flowDirection', direction: 'original' },\n    ]",
    ']',
    'packets',
  ),
  mutant(
    'compile: all live flows pass inbound',
    STATE_RULES,
    "{ kind: 'flowDirection', direction: 'reply' },\n  ];",
    '];',
    'packets',
  ),
  mutant(
    'labels: a copy of its own answer makes the host the opener',
    STATE_RULES,
    "[...matches, { kind: 'fromAnother' }]",
    'matches',
    'packets',
  ),
  mutant(
    'compile: ICMP errors need a rule',
    STATE_RULES,
    "{ kind: 'accept' },\n      'state:related',",
    "{ kind: 'drop' },\n      'state:related',",
    'packets',
  ),
  mutant(
    'compile: answers to inbound flows pass unjudged',
    STATE_RULES,
    "{ kind: 'jump', chain },\n    'state:reply",
    "{ kind: 'accept' },\n    'state:reply",
    'packets',
  ),
  mutant(
    'compile: invalid packets are matched',
    CHAIN_SET,
    "chainSet.invalid === 'drop' ? [INVALID] : []",
    '[]',
    'packets',
  ),
  mutant(
    'compile: invalid is dropped before platform traffic',
    CHAIN_SET,
    "...platformRules(policy, 'inbound'),\n        ...ownAddressRules(policy),\n        ...invalid,",
    "...invalid,\n        ...platformRules(policy, 'inbound'),\n        ...ownAddressRules(policy),",
    'packets',
  ),
  mutant(
    'compile: platform traffic out is judged by rules',
    CHAIN_SET,
    "...platformRules(policy, 'outbound'),",
    '',
    'packets',
  ),
  mutant(
    'compile: groups before management',
    CHAIN_SET,
    '[...policy.management.inbound, ...chainSet.inbound]',
    '[...chainSet.inbound, ...policy.management.inbound]',
    'packets',
  ),
  mutant(
    'compile: interfaces with the same groups share invalid',
    CHAIN_SETS,
    '`${binding.invalid} ${binding.groups',
    '`${binding.groups',
    'packets',
  ),
  mutant(
    'compile: unmanaged interfaces are open',
    CHAIN_SETS,
    "policy.unmanagedInterfaces === 'deny'",
    "policy.unmanagedInterfaces !== 'deny'",
    'packets',
  ),
  mutant(
    'compile: platform switches do nothing',
    PLATFORM_RULES,
    "const rules = flows.filter(({ match }) => match.kind === 'icmpv6')",
    "const rules = PLATFORM_FLOWS.filter((flow) => flow.direction === direction && flow.match.kind === 'icmpv6')",
    'packets',
  ),
  mutant(
    'render: a range of ports is its first',
    'core/translate/5-render/render-rule.ts',
    'from === to ? String(from) : `${from}-${to}`',
    'String(from)',
    'packets',
  ),
  mutant(
    'render: ports are looked at from the wrong end',
    'core/translate/5-render/render-rule.ts',
    "end === 'source' ? 'sport' : 'dport'",
    "end === 'source' ? 'dport' : 'sport'",
    'packets',
  ),

  // The tree of lookups.
  mutant(
    'segments: the last rule that names an address wins',
    RESOLVE_ADDRESSES,
    'if (strata.at(-1)?.says !== said)',
    'if (strata.length === 0)',
    'packets',
  ),
  mutant(
    'segments: overlaps go to the later rule',
    RESOLVE_ADDRESSES,
    'for (const literal of literals) {',
    'for (const literal of literals.toReversed()) {',
    'packets',
  ),
  mutant(
    'segments: intervals with a gap between them become one',
    RESOLVE_ADDRESSES,
    'before.interval.to + 1n === from',
    'before.interval.to + 1n <= from',
    'packets',
  ),
  mutant(
    'segments: what any says is forgotten',
    RESOLVE_ADDRESSES,
    'const rest = end < 0 ? undefined : clauses[end]?.rule;',
    'const rest = undefined;',
    'packets',
  ),
  mutant(
    'segments: rules behind any still count',
    RESOLVE_ADDRESSES,
    'end < 0 ? clauses : clauses.slice(0, end)',
    "clauses.filter(({ kind }) => kind !== 'any')",
    'packets',
  ),
  mutant(
    'segments: a segment ends one port early',
    PORT_SEGMENTS,
    'note(ending, to + 1, index)',
    'note(ending, to, index)',
    'packets',
  ),
  mutant(
    'segments: a range of ports never ends',
    PORT_SEGMENTS,
    'for (const index of ending.get(from) ?? []) active.delete(index);',
    '',
    'packets',
  ),
  mutant(
    'segments: rules of a segment lose their order',
    PORT_SEGMENTS,
    'toSorted((a, b) => a - b);\n    segments',
    'toSorted((a, b) => b - a);\n    segments',
    'packets',
  ),
  mutant(
    'segments: expanded ports lose the last',
    SEGMENTS,
    '{ length: to - from + 1 }',
    '{ length: Math.max(1, to - from) }',
    'packets',
  ),
  mutant(
    'segments: sets of earlier strata are not asked',
    ADDRESS_RULES,
    'says !== verdictOfRule && sets.length > 0',
    'says === own && sets.length > 0',
    'packets',
  ),
  mutant(
    'segments: sets are not asked at all',
    ADDRESS_RULES,
    '[...intervals, ...inSets, ...atLast]',
    '[...intervals, ...atLast]',
    'packets',
  ),
  mutant(
    'segments: sets are asked before intervals',
    ADDRESS_RULES,
    '[...intervals, ...inSets, ...atLast]',
    '[...inSets, ...intervals, ...atLast]',
    'packets',
  ),
  mutant(
    'segments: rules for every protocol are forgotten where one is named',
    TREE,
    '[others, ...byProtocol.values()]',
    '[others]',
    'packets',
  ),
  mutant('segments: rules ahead of all ports are forgotten', TREE, 'rules.slice(0, firstWithPorts)', '[]', 'packets'),
  mutant(
    'segments: rules without ports are forgotten in a segment',
    TREE,
    'merge(withoutPorts, rules, place)',
    'rules',
    'packets',
  ),
  mutant(
    'segments: equal ports of two places share a segment',
    TREE,
    'rules.map((rule) => place.get(rule)).join()',
    'String(rules.length)',
    'packets',
  ),
  mutant(
    'segments: no port falls through to the rest',
    SEGMENTS,
    "builtIn([], rest, 'any other port')",
    "builtIn([], { kind: 'return' }, 'any other port')",
    'packets',
  ),
  mutant(
    'segments: what names ports is always asked first where much does not',
    TREE,
    "firstOf('deny') > lastOf('allow') && firstOf('allow') > lastOf('deny')",
    'true',
    'packets',
  ),

  mutant(
    'segments: what the rest says too is left out though a set says otherwise',
    RESOLVE_ADDRESSES,
    'return !strata.slice(stratum).some(',
    'return strata.some(() => true) || strata.some(',
    'packets',
  ),
  mutant(
    'segments: a set counts where it is named last',
    RESOLVE_ADDRESSES,
    'if (asked.has(set)) continue;',
    'for (const one of strata) one.sets = one.sets.filter((other) => other.set !== set);',
    'packets',
  ),

  // Addresses by class, and flows by label.
  mutant(
    'classes: the groups of another class count',
    VIEW,
    'return view.groups.has(groupKey(remote) ??',
    'return !view.groups.has(groupKey(remote) ??',
    'packets',
  ),
  mutant(
    'classes: a host is only in the groups that name it',
    CLASSES,
    'combinations.union(combination, combinationAt(ranges, interval.from))',
    'combination',
    'packets',
  ),
  mutant(
    'classes: a host is only in the last group that names it',
    CLASSES,
    'combinations.with(last.combination, group)',
    'combinations.with(0, group)',
    'packets',
  ),
  mutant(
    'classes: overlapping ranges are in the first group alone',
    CLASSES,
    '[...open].reduce(',
    '[...open].slice(0, 1).reduce(',
    'packets',
  ),
  mutant('classes: a range ends one address early', CLASSES, '{ at: to + 1n, family', '{ at: to, family', 'packets'),
  mutant(
    'classes: rules about groups are forgotten for ICMP',
    VIEW,
    "return view.groups.has(key) ? [{ ...rule, remote: { kind: 'any' } as const }] : [];",
    'return [];',
    'packets',
  ),
  mutant(
    'render: chains that differ in one address are taken for equal',
    OBJECTS,
    '`${object.kind} ${object.text}`',
    '`${object.kind} ${object.text.length}`',
    'packets',
  ),
  mutant(
    'labels: a flow is judged once and for all interfaces',
    COMPILE,
    'labels && chainSets.length === 1 && unmanaged === undefined ?',
    'labels && unmanaged === undefined ?',
    'packets',
  ),
  mutant(
    'labels: the same label serves after every change',
    LABELS,
    'const used = inUse.used + chainSets.length;',
    'const used = Math.max(inUse.used, chainSets.length);',
    'packets',
  ),
  mutant(
    'labels: all judges have one label',
    LABELS,
    "{ kind: 'label', bit: first + i, verdict: 'accept' }",
    "{ kind: 'label', bit: first, verdict: 'accept' }",
    'packets',
  ),
  mutant(
    'labels: used anew though flows may have them',
    LABELS,
    "if (inUse === 'none' || inUse === 'unknown') return 'none';",
    "if (inUse === 'none' || inUse === 'unknown') return { used: chainSets.length };",
    'packets',
  ),
  mutant(
    'classes: what was made for one class serves all',
    VIEW,
    "view.kind === 'sets' ? 'sets' : String(firstForAll(rules, view.groups))",
    "'all'",
    'packets',
  ),
  mutant(
    'change: a chain that stays keeps its old rules',
    SWAP,
    '    ...rewritten.map(({ name }) => line(`flush chain ${TABLE} ${kernel(name)}`)),\n',
    '',
    'packets',
  ),
  mutant('change: a chain that stays is not rewritten', NAMES, 'kept.body !== body', 'false', 'packets'),

  // What two policies judge otherwise.
  mutant(
    'difference: the last address of an interval is left out',
    ADDRESS_PARTITION,
    'at: to + 1n, rule',
    'at: to, rule',
    'meaning',
  ),
  mutant(
    'boxes: the last address of an interval is left out',
    GRID,
    'starts.push(to + 1n);',
    'starts.push(to);',
    'meaning',
  ),
  mutant(
    'boxes: what lies across a cut is in one half',
    BOX_ENTRIES,
    '+ 1] ?? 0) < first)',
    '+ 1] ?? 0) <= first)',
    'meaning',
  ),
  mutant(
    'boxes: a rule that holds a part hides what is behind it',
    BOX_ENTRIES,
    'hasAllColumns(entries, at, area, box) && hasAllRows(entries, at, area, box)',
    'hasAllColumns(entries, at, area, box)',
    'meaning',
  ),
  mutant(
    'difference: the last rule decides',
    LOWEST_ACTIVE,
    '(heap[child + 1] ?? 0) < (heap[child] ?? 0)',
    'true',
    'meaning',
  ),
  mutant(
    'difference: equal rules in another order are the same',
    COMPARE,
    'ofBefore[one.id(member)] !== ofAfter[other.id(member)]',
    '!ofAfter.includes(ofBefore[one.id(member)] ?? -1)',
    'meaning',
  ),
  mutant(
    'difference: management is left out',
    MEANING_RULE_LIST,
    '[...policy.management[direction], ...',
    '[...',
    'meaning',
  ),
  mutant(
    'difference: groups are their hosts alone',
    MEANING_RULE_LIST,
    '[...entries.hosts, ...entries.ranges]',
    'entries.hosts',
    'meaning',
  ),
  mutant(
    'difference: unmanaged interfaces are denied',
    MEANING_RULE_LIST,
    "binding === undefined && policy.unmanagedInterfaces === 'allow'",
    'false',
    'meaning',
  ),
  mutant(
    'difference: a glob is not covered by a shorter one',
    MEANING_RULE_LIST,
    'named.slice(0, -1).startsWith(pattern.slice(0, -1))',
    'named === pattern',
    'meaning',
  ),
  mutant(
    'difference: an icmp rule holds for the next code',
    TRAFFIC_ATOMS,
    'to: first + traffic.code }',
    'to: first + traffic.code + 1 }',
    'meaning',
  ),
  mutant(
    'difference: a range of ports ends early',
    TRAFFIC_ATOMS,
    'ofProtocol.add(to + 1);',
    'ofProtocol.add(to);',
    'meaning',
  ),
  mutant(
    'difference: protocols that no rule names are left out',
    TRAFFIC_ATOMS,
    'others.length === 0 ?',
    'others.length >= 0 ?',
    'meaning',
  ),

  // What is asserted of the rules.
  mutant(
    'assertion: the first interface alone is looked at',
    PROVE,
    "if (pattern === 'lo') continue;",
    "if (pattern === 'lo' || pattern !== policy.bindings[0]?.pattern) continue;",
    'meaning',
  ),
  mutant('assertion: what is excepted counts', PROVE, 'first === about.length - 1', 'decider !== undefined', 'meaning'),
  // What is counted and logged.
  mutant(
    'accounts: a denial is let through',
    ACCOUNTS,
    "allow : { kind: 'drop' };",
    "allow : { kind: 'accept' };",
    'packets',
  ),
  mutant(
    'accounts: replies that a rule denies are dropped',
    ACCOUNTS,
    "? allow : { kind: 'return' };",
    "? allow : { kind: 'drop' };",
    'packets',
  ),
  mutant(
    'accounts: replies are counted',
    ACCOUNTS,
    "direction === 'inbound' ? [ofReplies(rule, allow)] : []",
    '[]',
    'packets',
  ),
  mutant('accounts: rules that say the same share a chain', ACCOUNTS, 'taken.set(base, count);', '', 'packets'),
  mutant(
    'accounts: neighbouring rules of one action are one',
    ACCOUNTS,
    'hasChain(rule) ? rule.origin : rule.action',
    'rule.action',
    'packets',
  ),
  mutant(
    'accounts: one rule is taken for another whose chain says the same',
    ACCOUNTS,
    '...builtIn([], verdict, name), counted',
    "...builtIn([], verdict, ''), counted",
    'packets',
  ),

  // What the advisor says of rules.
  mutant(
    'lint: members of a group are those that the policy tells',
    LINT_SCOPE,
    "certain, possible: 'any', group: remote.name",
    'certain, possible: certain, group: undefined',
    'meaning',
  ),
  mutant(
    'lint: of two possible rules the first decides',
    POSSIBLE,
    'if (isCertain) return found;',
    'return found;',
    'meaning',
  ),
  mutant('lint: a rule behind one that may decide never does', POSSIBLE, 'if (isCertain) break;', 'break;', 'meaning'),
  mutant(
    'lint: what is shadowed decides in place of others',
    REDUNDANT,
    'found.has(other) || shadowed.has(other)',
    'found.has(other)',
    'meaning',
  ),
  mutant(
    'lint: rules that need each other are both redundant',
    REDUNDANT,
    'changes !== undefined || needed.has(origin)',
    'changes !== undefined',
    'meaning',
  ),
  mutant('lint: no rule allows', EFFECTS, "(other?.action ?? 'deny')", "(other?.action ?? 'allow')", 'meaning'),
  mutant(
    'assertion: all traffic is looked at',
    PROVE,
    'traffic: rule.traffic, addresses,',
    "traffic: { kind: 'all' } as const, addresses,",
    'meaning',
  ),
  mutant(
    'assertion: the first packet speaks for all',
    FIRST_PACKETS,
    '!== action) return true;',
    '!== action) break;',
    'meaning',
  ),
  mutant(
    'assertion: nothing is ever broken',
    FIRST_PACKETS,
    'if (decision.action !== this.#searches[id]?.action) continue;',
    'continue;',
    'meaning',
  ),
];
