import { median, percentile } from './statistics.ts';

/** What a measurement can be told. */
export interface Settings {
  /** The project's folder. */
  readonly root: string;
  /** A folder for files of the moment. */
  readonly scratch: string;
  /** Small counts, for a look in some minutes. */
  readonly quick: boolean;
  /** Says what is being done. */
  readonly progress: (text: string) => void;
}

/** One cell of a result. */
export interface Cell {
  readonly column: string;
  readonly median: number;
  readonly p99: number;
  readonly samples: number;
  /** The median of the ratios to the floor of the same round; undefined without a floor. */
  readonly ratio: number | undefined;
}

/** One case that was measured, in every column. */
export interface Row {
  readonly case: Readonly<Record<string, string | number>>;
  readonly cells: readonly Cell[];
  /** Why there is no cell of a column. */
  readonly missing?: Readonly<Record<string, string>>;
}

/** The outcome of a measurement. */
export interface Result {
  readonly name: string;
  readonly title: string;
  readonly unit: 'ns' | 'ms' | 'MB' | 'Mbit/s' | 'packets';
  /** The column that ratios are to. */
  readonly floor: string | undefined;
  /** The 99th percentile is told beside the median. */
  readonly tail?: boolean;
  readonly rows: readonly Row[];
}

/** The cells of one case from the samples of its columns; samples of one index were taken in the same round. */
export function cellsOf(samples: ReadonlyMap<string, readonly number[]>, floor: string | undefined): readonly Cell[] {
  const base = floor === undefined ? undefined : samples.get(floor);
  return [...samples]
    .filter(([, values]) => values.length > 0)
    .map(([column, values]) => ({
      column,
      median: median(values),
      p99: percentile(values, 99),
      samples: values.length,
      ratio: base === undefined ? undefined : median(values.map((value, i) => value / (base[i] ?? Number.NaN))),
    }));
}

/** Takes a sample of every column in each round, so that what disturbs the machine disturbs all alike. */
export async function inRounds<Column extends string>(
  columns: readonly Column[],
  rounds: number,
  sample: (column: Column) => Promise<number>,
): Promise<ReadonlyMap<Column, readonly number[]>> {
  const samples = new Map(columns.map((column) => [column, [] as number[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < columns.length; i += 1) {
      const column = columns[(i + round) % columns.length];
      if (column !== undefined) samples.get(column)?.push(await sample(column));
    }
  }
  return samples;
}
