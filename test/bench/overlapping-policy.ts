/** Numbers that are the same each time, and look like no order. */
function numbersBelow(limit: number): () => number {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % limit;
  };
}

/**
 * A policy of the instance `host` whose denials, of ranges of ports from ranges of addresses, overlap at random; ports 1 to
 * 1024 are open beside them. With what is asserted of it, a line of YAML each.
 */
export function overlapping(rules: number, assertions: readonly string[]): string {
  const below = numbersBelow(65_535);
  const pair = (): readonly [number, number] => {
    const [a, b] = [below() + 1, below() + 1];
    return [Math.min(a, b), Math.max(a, b)];
  };
  const lines = Array.from({ length: rules }, () => {
    const [[from, to], [first, last]] = [pair(), pair()];
    const address = (number: number): string => `10.${number >> 8}.${number & 255}.7`;
    return `      - { action: deny, protocol: tcp, ports: "${from}-${to}", source: "${address(first)}-${address(last)}" }`;
  });
  return [
    'version: 1',
    'securityGroups:',
    '  g:',
    '    inbound:',
    ...lines,
    '      - { priority: 2, protocol: tcp, ports: "1-1024", source: any }',
    'instances: { host: { interfaces: { eth0: { securityGroups: [g] } } } }',
    'assert:',
    ...assertions.map((one) => `  - ${one}`),
    '',
  ].join('\n');
}
