import type { Check } from './check.ts';
import { listsSaySomething } from './lists-say-something.ts';
import { membersKnownElsewhere } from './members-known-elsewhere.ts';
import { oneInstanceAHost } from './one-instance-a-host.ts';

/** Every check of a whole policy, in the order they run. One check a file; a new one is added here and nowhere else. */
export const CHECKS: readonly Check[] = [oneInstanceAHost, membersKnownElsewhere, listsSaySomething];
