import type { Area } from './grid.ts';

/** Cells of a grid: all from a first to a last column and from a first to a last row. */
export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A cell of a grid. */
export interface Cell {
  readonly column: number;
  readonly row: number;
}

/** Areas that a grid is searched for. */
export interface Layer {
  /** In deciding order. */
  readonly areas: readonly Area[];
  /**
   * In a box, the areas behind this many that cover it are ignored. `none`: the areas are questions, not rules: none
   * hides another, none splits a box, and boxes without any of them are skipped.
   */
  readonly upTo: 1 | 2 | 'none';
  /** Whether an area counts also in boxes that hold none of its rows, as a rule does that may match every address. */
  readonly isEverywhere?: ((id: number) => boolean) | undefined;
  /** Whether an area is still of interest in boxes that begin at this cell. */
  readonly isAsked?: ((id: number, left: number, top: number) => boolean) | undefined;
}

/** The areas of a layer that count in a box, in deciding order. Valid until the visit of the box ends. */
export interface AreasInBox {
  readonly length: number;
  /** The index in its layer of the area at `member`. */
  id(member: number): number;
  /** The index in its layer of the first area; undefined if there is none. */
  first(): number | undefined;
  /** Whether the area covers the box. */
  isWhole(member: number): boolean;
  /** The first cell of the box that the area holds. */
  firstCell(member: number): Cell;
  /** Whether the area holds a cell of the box. */
  holds(member: number, cell: Cell): boolean;
}

/** Visits boxes; `layers` are in the order in which they were given. */
export interface BoxVisitor {
  /** Returns whether to visit the parts of a box. */
  enter(box: Box, layers: readonly AreasInBox[]): boolean;
  /** Takes a box that each area of a layer which decides holds entirely or not at all. */
  leaf(box: Box, layers: readonly AreasInBox[]): void;
}
