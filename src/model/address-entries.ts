import type { Interval } from './interval.ts';
export interface AddressEntries {
  readonly hosts: readonly Interval[];
  readonly ranges: readonly Interval[];
}
