import type { Report } from '#core/diagnostics/report.ts';
import type { Policy } from '#core/model/policy/policy.ts';

/** A check of a whole policy whose names all resolve: reports what is wrong with it, changes nothing. */
export type Check = (policy: Policy, report: Report) => void;
