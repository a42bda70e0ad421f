import type { Result } from './measurement.ts';

const WIDTH = 760;
const HEIGHT = 420;
const FRAME = { left: 70, right: 596, top: 56, bottom: 360 } as const;

/** The least distance of two labels, so that lines that end together can be told apart. */
const LABEL_DISTANCE = 16;

const COLORS: Readonly<Record<string, string>> = {
  none: '#8c959f',
  conntrack: '#57606a',
  secgroupd: '#1a7f37',
  'nft-linear': '#bc4c00',
  'iptables-nft': '#8250df',
};

interface Line {
  readonly column: string;
  readonly points: readonly { readonly rules: number; readonly value: number }[];
}

/** An SVG image: what a packet of a new flow costs over the number of rules, both by powers of ten. Throws without such results. */
export function plot(results: readonly Result[]): string {
  const lines = linesOf(results);
  const rules = lines.flatMap(({ points }) => points.map((point) => point.rules));
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  if (values.length === 0) throw new Error('there are no results of new-packets to draw');
  const x = logScale([Math.min(...rules), Math.max(...rules)], [FRAME.left, FRAME.right]);
  const y = logScale(
    [10 ** Math.floor(Math.log10(Math.min(...values))), 10 ** Math.ceil(Math.log10(Math.max(...values)))],
    [FRAME.bottom, FRAME.top],
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" fill="#24292f">
<title>The cost of a packet of a new flow</title>
<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="#ffffff"/>
<text x="${FRAME.left}" y="28" font-size="16" font-weight="bold">Nanoseconds for a packet of a new flow that no rule matches</text>
${yAxis(values, y)}
${xAxis(rules, x)}
${lines.map((line) => polyline(line, x, y)).join('\n')}
${labels(lines, y)}
</svg>
`;
}

function linesOf(results: readonly Result[]): readonly Line[] {
  const rows = (results.find(({ name }) => name === 'new-packets')?.rows ?? []).filter(
    (row) =>
      row.case['family'] === 'ipv4' &&
      row.case['remotes'] === 'networks' &&
      row.case['match'] === 'none' &&
      row.case['protocol'] === 'udp',
  );
  const columns = [...new Set(rows.flatMap(({ cells }) => cells.map(({ column }) => column)))];
  return columns.map((column) => ({
    column,
    points: rows.flatMap((row) => {
      const cell = row.cells.find((one) => one.column === column);
      return cell === undefined ? [] : [{ rules: Number(row.case['rules']), value: cell.median }];
    }),
  }));
}

type Scale = (value: number) => number;

function logScale([low, high]: readonly [number, number], [from, to]: readonly [number, number]): Scale {
  const span = Math.log10(high / low) || 1;
  return (value) => Math.round((from + ((to - from) * Math.log10(value / low)) / span) * 10) / 10;
}

function yAxis(values: readonly number[], y: Scale): string {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i))
    .map(
      (value) =>
        `<line x1="${FRAME.left}" x2="${FRAME.right}" y1="${y(value)}" y2="${y(value)}" stroke="#d0d7de"/>` +
        `<text x="${FRAME.left - 8}" y="${y(value) + 4}" text-anchor="end">${grouped(value)}</text>`,
    )
    .join('\n');
}

function xAxis(rules: readonly number[], x: Scale): string {
  const ticks = [...new Set(rules)].map(
    (count) => `<text x="${x(count)}" y="${FRAME.bottom + 20}" text-anchor="middle">${grouped(count)}</text>`,
  );
  const middle = (FRAME.left + FRAME.right) / 2;
  return [...ticks, `<text x="${middle}" y="${FRAME.bottom + 44}" text-anchor="middle">rules a direction</text>`].join(
    '\n',
  );
}

function polyline({ column, points }: Line, x: Scale, y: Scale): string {
  const path = points.map(({ rules, value }) => `${x(rules)},${y(value)}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${colorOf(column)}" stroke-width="${column === 'secgroupd' ? 3 : 2}"/>`;
}

function labels(lines: readonly Line[], y: Scale): string {
  const ends = lines
    .flatMap(({ column, points }) => {
      const last = points.at(-1);
      return last === undefined ? [] : [{ column, value: last.value, at: y(last.value) + 4 }];
    })
    .toSorted((a, b) => b.at - a.at);
  let free = Number.POSITIVE_INFINITY;
  return ends
    .map(({ column, value, at }) => {
      free = Math.min(at, free - LABEL_DISTANCE);
      const text = `${column} ${grouped(Math.round(value))}`;
      return `<text x="${FRAME.right + 8}" y="${free}" fill="${colorOf(column)}">${text}</text>`;
    })
    .join('\n');
}

function colorOf(column: string): string {
  return COLORS[column] ?? '#24292f';
}

function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
