import type { Check } from './check.ts';
import { listsSaySomething } from './lists-say-something.ts';
import { membersKnownElsewhere } from './members-known-elsewhere.ts';
import { oneInstanceAHost } from './one-instance-a-host.ts';

/** Checks of which host an instance is. They need no name that rules refer to, so they run whatever else is wrong. */
export const HOST_CHECKS: readonly Check[] = [oneInstanceAHost];

/** Checks of a whole policy without errors, in the order they run. One check a file; a new one is added here. */
export const CHECKS: readonly Check[] = [membersKnownElsewhere, listsSaySomething];
