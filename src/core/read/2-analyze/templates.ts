import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import { ICMP, TCP } from '#core/model/policy/protocols.ts';
import type { Direction, Remote, Rule, Traffic } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';

/** The names of the templates, as the clouds know them. */
export type TemplateName = 'default' | 'Sys-WebServer' | 'Sys-FullAccess';

interface TemplateRule {
  readonly direction: Direction;
  readonly families: readonly Family[];
  readonly traffic: Traffic;
  readonly remote: 'any' | 'self';
}

const ALL: Traffic = { kind: 'all' };
const FROM_SELF: TemplateRule = { direction: 'inbound', families: FAMILIES, traffic: ALL, remote: 'self' };
const EVERYTHING_OUT: TemplateRule = { direction: 'outbound', families: FAMILIES, traffic: ALL, remote: 'any' };

/** IPv4 alone, as Sys-WebServer has it: "all ICMP, and TCP 443, 80, 22, 3389 from 0.0.0.0/0". */
const WEB_TRAFFIC: readonly Traffic[] = [
  { kind: 'protocol', protocol: ICMP },
  ...[443, 80, 22, 3389].map((port): Traffic => ({ kind: 'ports', protocol: TCP, ports: [{ from: port, to: port }] })),
];

/** Huawei Cloud VPC, "Default security groups and rules", tables 2 to 4. */
const TEMPLATES: Readonly<Record<TemplateName, readonly TemplateRule[]>> = {
  default: [FROM_SELF, EVERYTHING_OUT],
  'Sys-WebServer': [
    ...WEB_TRAFFIC.map(
      (traffic): TemplateRule => ({ direction: 'inbound', families: ['ipv4'], traffic, remote: 'any' }),
    ),
    FROM_SELF,
    EVERYTHING_OUT,
  ],
  'Sys-FullAccess': [
    FROM_SELF,
    { direction: 'inbound', families: FAMILIES, traffic: ALL, remote: 'any' },
    EVERYTHING_OUT,
  ],
};

/** The rules that `template` gives to `group` in one direction; all have priority 1 and allow. */
export function expandTemplate(
  template: TemplateName,
  { group, direction, span }: { group: GroupName; direction: Direction; span: Span },
): Rule[] {
  const rules = TEMPLATES[template].filter((rule) => rule.direction === direction);
  return rules.flatMap(({ families, traffic, remote: of }, index) => {
    const remote: Remote = of === 'any' ? { kind: 'any' } : { kind: 'securityGroup', name: group };
    const origin = { group, direction, index, template, span };
    return families.map(
      (family): Rule => ({
        origin,
        action: 'allow',
        priority: 1,
        priorityWritten: false,
        family,
        traffic,
        remote,
        log: undefined,
        description: undefined,
      }),
    );
  });
}
