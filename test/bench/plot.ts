import type { Result } from './measurement.ts';

const WIDTH = 800;
const HEIGHT = 440;
const FRAME = { left: 72, right: 566, top: 84, bottom: 376 } as const;

/** The least distance of two labels, so that lines that end together can be told apart. */
const LABEL_DISTANCE = 19;

const INK = '#1f2937';
const FAINT = '#6b7280';

/** How a column is drawn; the later ones over the earlier, where they meet. */
interface Look {
  readonly name: string;
  readonly color: string;
  readonly width: number;
  /** Of two lines that lie on each other, both are seen when one has gaps. */
  readonly dashes?: string;
}

const LOOKS: ReadonlyMap<string, Look> = new Map([
  ['none', { name: 'no rules at all', color: '#6b7280', width: 2 }],
  ['conntrack', { name: 'conntrack alone', color: '#111827', width: 2 }],
  ['nft-linear', { name: 'nft, rule by rule', color: '#c2410c', width: 2.5 }],
  ['iptables-nft', { name: 'iptables-nft', color: '#7c3aed', width: 2.5, dashes: '7 5' }],
  ['secgroupd', { name: 'secgroupd', color: '#047857', width: 4 }],
]);

/** What is drawn of one column. */
interface Line extends Look {
  readonly points: readonly { readonly rules: number; readonly value: number }[];
}

/**
 * An SVG image: what a packet of a new flow costs over the number of rules, both by powers of ten. It brings its own
 * background, so that it can be read on light and dark pages. Throws without such results.
 */
export function plot(results: readonly Result[], machine: Readonly<Record<string, string | number>>): string {
  const lines = linesOf(results);
  const rules = lines.flatMap(({ points }) => points.map((point) => point.rules));
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  if (values.length === 0) throw new Error('there are no results of new-packets to draw');
  const ticks = ticksAround(values);
  const x = logScale([Math.min(...rules), Math.max(...rules)], [FRAME.left, FRAME.right]);
  const y = logScale([ticks[0] ?? 1, ticks.at(-1) ?? 1], [FRAME.bottom, FRAME.top]);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="-apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif" font-size="13" fill="${INK}">
<title>What a packet of a new flow costs, by the number of rules</title>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8" fill="#ffffff" stroke="#d1d5db"/>
<text x="24" y="34" font-size="17" font-weight="600">What a packet of a new flow costs, by the number of rules</text>
<text x="24" y="55" fill="${FAINT}">IPv4 over UDP, no rule matches; time to receive one packet, medians. ${escaped(placeOf(machine))}</text>
${yAxis(ticks, y)}
${xAxis(rules, x)}
${lines.map((line) => curve(line, x, y)).join('\n')}
${labels(lines, y)}
</svg>
`;
}

function placeOf({ kernel, processors }: Readonly<Record<string, string | number>>): string {
  return `Linux ${String(kernel).replace(/^(\d+\.\d+).*$/, '$1')}, ${processors} processors.`;
}

function linesOf(results: readonly Result[]): readonly Line[] {
  const rows = (results.find(({ name }) => name === 'new-packets')?.rows ?? []).filter(
    (row) =>
      row.case['family'] === 'ipv4' &&
      row.case['remotes'] === 'networks' &&
      row.case['match'] === 'none' &&
      row.case['protocol'] === 'udp',
  );
  return [...LOOKS]
    .map(([column, look]) => ({
      ...look,
      points: rows.flatMap((row) => {
        const cell = row.cells.find((one) => one.column === column);
        return cell === undefined ? [] : [{ rules: Number(row.case['rules']), value: cell.median }];
      }),
    }))
    .filter(({ points }) => points.length > 0);
}

type Scale = (value: number) => number;

function logScale([low, high]: readonly [number, number], [from, to]: readonly [number, number]): Scale {
  const span = Math.log10(high / low) || 1;
  return (value) => Math.round((from + ((to - from) * Math.log10(value / low)) / span) * 10) / 10;
}

/** The values 1, 2 and 5 times a power of ten from just below the least to just above the greatest. */
function ticksAround(values: readonly number[]): readonly number[] {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  const all = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
  const first = all.findLastIndex((tick) => tick <= least);
  const last = all.findIndex((tick) => tick >= greatest);
  return all.slice(Math.max(first, 0), last + 1);
}

function yAxis(ticks: readonly number[], y: Scale): string {
  return ticks
    .map(
      (tick) =>
        `<line x1="${FRAME.left}" x2="${FRAME.right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#e5e7eb"/>` +
        `<text x="${FRAME.left - 10}" y="${y(tick) + 4.5}" text-anchor="end" fill="${FAINT}">${tick / 1_000} µs</text>`,
    )
    .join('\n');
}

function xAxis(rules: readonly number[], x: Scale): string {
  const ticks = [...new Set(rules)].map(
    (count) =>
      `<line x1="${x(count)}" x2="${x(count)}" y1="${FRAME.bottom}" y2="${FRAME.bottom + 5}" stroke="${FAINT}"/>` +
      `<text x="${x(count)}" y="${FRAME.bottom + 22}" text-anchor="middle" fill="${FAINT}">${grouped(count)}</text>`,
  );
  const middle = (FRAME.left + FRAME.right) / 2;
  return [
    `<line x1="${FRAME.left}" x2="${FRAME.right}" y1="${FRAME.bottom}" y2="${FRAME.bottom}" stroke="${FAINT}"/>`,
    ...ticks,
    `<text x="${middle}" y="${FRAME.bottom + 46}" text-anchor="middle">rules in each direction</text>`,
  ].join('\n');
}

function curve({ points, color, width, dashes }: Line, x: Scale, y: Scale): string {
  const path = points.map(({ rules, value }) => `${x(rules)},${y(value)}`).join(' ');
  const gaps = dashes === undefined ? '' : ` stroke-dasharray="${dashes}"`;
  const dots = points.map(
    ({ rules, value }) => `<circle cx="${x(rules)}" cy="${y(value)}" r="${width / 2 + 1.5}" fill="${color}"/>`,
  );
  return (
    `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="${width}" stroke-linejoin="round"${gaps}/>` +
    dots.join('')
  );
}

/** The name and last value of every line at its right end, as near as the others let it, and a stroke that leads there. */
function labels(lines: readonly Line[], y: Scale): string {
  const ends = lines
    .flatMap((line) => {
      const last = line.points.at(-1);
      return last === undefined ? [] : [{ line, value: last.value, at: y(last.value) }];
    })
    .toSorted((a, b) => a.at - b.at);
  const places = spread(ends.map(({ at }) => at));
  return ends
    .map(({ line: { name, color, width }, value, at }, i) => {
      const place = places[i] ?? at;
      const weight = width > 3 ? ' font-weight="700"' : '';
      return (
        `<polyline points="${FRAME.right + 8},${at} ${FRAME.right + 16},${at} ${FRAME.right + 26},${place} ${FRAME.right + 32},${place}" fill="none" stroke="${color}" stroke-width="1" opacity="0.6"/>` +
        `<text x="${FRAME.right + 37}" y="${place + 4.5}" fill="${color}"${weight}>${name}, ${inMicroseconds(value)}</text>`
      );
    })
    .join('\n');
}

/** Places at least a label's height apart, in the same order, that stay near to those given in ascending order. */
function spread(wanted: readonly number[]): readonly number[] {
  // Labels that would touch become a block, which stands in the middle of what its members want.
  const blocks: { first: number; members: number[] }[] = [];
  for (const at of wanted) {
    blocks.push({ first: at, members: [at] });
    for (;;) {
      const [above, below] = blocks.slice(-2);
      if (above === undefined || below === undefined) break;
      if (above.first + above.members.length * LABEL_DISTANCE <= below.first) break;
      const members = [...above.members, ...below.members];
      const middle = members.reduce((sum, member) => sum + member, 0) / members.length;
      blocks.splice(-2, 2, { first: middle - ((members.length - 1) * LABEL_DISTANCE) / 2, members });
    }
  }
  return blocks.flatMap(({ first, members }) =>
    members.map((_, i) => Math.round((first + i * LABEL_DISTANCE) * 10) / 10),
  );
}

function inMicroseconds(nanoseconds: number): string {
  const value = nanoseconds / 1_000;
  return `${value.toFixed(value >= 10 ? 0 : 1)} µs`;
}

function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
