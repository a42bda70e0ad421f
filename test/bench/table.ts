import type { Cell, Result } from './measurement.ts';

/** A result as a table for people: a row a case, a column a way of doing it, each median with its ratio to the floor. */
export function formatResult({ name, title, unit, floor, tail = false, rows }: Result): string {
  const columns = [...new Set(rows.flatMap(({ cells }) => cells.map(({ column }) => column)))];
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row.case)))];
  const lines = [
    [...keys, ...columns],
    ...rows.map((row) => [
      ...keys.map((key) => String(row.case[key] ?? '')),
      ...columns.map((column) =>
        formatCell(
          row.cells.find((cell) => cell.column === column),
          tail,
        ),
      ),
    ]),
  ];
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0))) ?? [];
  const body = lines.map((line) =>
    line
      .map((text, i) => (i < keys.length ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  const ratios = floor === undefined ? '' : `, and times ${floor}`;
  const tails = tail ? ', and 99th percentiles' : '';
  const reasons = new Set(
    rows.flatMap(({ case: of, missing = {} }) =>
      Object.entries(missing).map(([column, reason]) => `  - ${column}, ${formatCase(of)}: ${reason}\n`),
    ),
  );
  return `${name}: ${title}; ${unit === 'packets' ? 'counted' : `medians in ${unit}`}${ratios}${tails}\n${body.map((line) => `  ${line}\n`).join('')}${[...reasons].join('')}\n`;
}

function formatCase(of: Result['rows'][number]['case']): string {
  return Object.entries(of)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
}

function formatCell(cell: Cell | undefined, tail: boolean): string {
  if (cell === undefined) return '-';
  if (tail) return `${formatNumber(cell.median)} / ${formatNumber(cell.p99)}`;
  return cell.ratio === undefined
    ? formatNumber(cell.median)
    : `${formatNumber(cell.median)} ×${cell.ratio.toFixed(2)}`;
}

/** A number with three places that mean something, thousands set apart. */
function formatNumber(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
