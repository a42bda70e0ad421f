import { z } from 'zod';
import { ORIGIN } from './policy-answers.ts';
import type { Status } from './status.ts';

// The daemon is not root, so sgctl checks what it answers. Keys that a newer daemon adds pass.
const object = z.looseObject;

const text = z.string();
const count = z.number();

const diagnostic = object({
  code: text,
  severity: z.enum(['error', 'warning']),
  message: text,
  file: text,
  line: count,
  column: count,
  help: text.nullable(),
  related: z.array(object({ message: text, file: text, line: count, column: count })),
});

/** Reads the rules in force, as the status and the policy's answer report them. */
export const IN_FORCE: z.ZodType<Status['inForce']> = object({
  generation: count,
  version: count.nullable().optional(),
  stamp: text,
  since: text.nullable(),
  ageSeconds: count.nullable(),
}).nullable();

const trial = object({ file: text, since: text, secondsLeft: count }).nullable();
const pinned = object({ origin: ORIGIN, version: count.nullable(), since: text }).nullable();

/** The part of a status that commands which change something depend on, so that they work with any daemon. */
export type OverrideStatus = Pick<Status, 'policyFile' | 'trial' | 'pinned'>;

/** Reads an {@link OverrideStatus}. */
export const OVERRIDE_STATUS: z.ZodType<OverrideStatus> = object({ policyFile: text, trial, pinned });

/** Keys that the daemon of an earlier version, which may still run, leaves out. */
type LaterKey = 'interfaceNotes' | 'protected' | 'revokedFlows' | 'waitingFor';

/** A status from a daemon of this version or an earlier one. */
export type ReceivedStatus = Omit<Status, LaterKey> & { readonly [Key in LaterKey]?: Status[Key] | undefined };

/** Reads a {@link ReceivedStatus}. */
export const STATUS: z.ZodType<ReceivedStatus> = object({
  version: text,
  policyFile: text,
  instance: text.nullable(),
  state: z.enum(['enforced', 'refused', 'held', 'failing', 'cleared', 'starting']),
  protected: z.boolean().optional(),
  inForce: IN_FORCE,
  trial,
  pinned,
  refusal: object({ since: text, diagnostics: z.array(diagnostic), text }).nullable(),
  warnings: z.array(diagnostic),
  waitingFor: z
    .array(
      object({
        file: text,
        reason: z.enum(['open', 'unfinished-line', 'empty', 'written']),
        message: text,
        since: text,
        secondsLeft: count.nullable(),
      }),
    )
    .optional(),
  troubles: z.array(object({ since: text, message: text })),
  interfaces: z.array(
    object({
      name: text,
      pattern: text,
      as: z.enum(['altname', 'vrf']).optional(),
      groups: z.array(text),
      rules: object({ inbound: count, outbound: count }),
    }),
  ),
  absentInterfaces: z.array(text),
  interfaceNotes: z.array(object({ code: text, interface: text, message: text, help: text })).optional(),
  unmanagedInterfaces: object({ names: z.array(text), action: z.enum(['allow', 'deny']) }),
  forwardedTraffic: z.literal('not filtered'),
  otherChains: z
    .array(
      object({
        table: text,
        chain: text,
        type: text,
        hook: text,
        policy: z.enum(['accept', 'drop']),
        madeBy: z.array(text),
      }),
    )
    .nullable(),
  publishedPorts: z.array(object({ table: text, protocol: text, port: text, to: text.nullable() })).nullable(),
  missingFeatures: z.array(text),
  revokedFlows: object({ remembered: count, leftOut: count, trouble: text.nullable() }).optional(),
  changesApplied: count,
  driftsMended: count,
});
