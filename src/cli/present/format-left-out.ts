import type { ComparedPackets } from '#core/change-effects.ts';

/** How to have all of the work done, where some was left out. */
export const WAIT_LONGER = '--within SECONDS allows more time';

const FAMILY_NAMES = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

/** The lines about packets that were not compared in time; none if all were. */
export function leftOutLines(leftOut: readonly ComparedPackets[]): readonly string[] {
  if (leftOut.length === 0) return [];
  return [
    ...leftOut.map(
      ({ direction, family, interface: pattern }) =>
        `NOT COMPARED in time: ${direction} ${FAMILY_NAMES[family]} on ${pattern ?? 'every other interface'}`,
    ),
    `help: ${WAIT_LONGER}`,
    '',
  ];
}
