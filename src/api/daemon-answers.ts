import { z } from 'zod';
import type { LogEntry, RuleReport, Stats } from '#core/model/packet/packet-account.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { KeptPolicy, PolicyVersion } from '#core/model/policy/policy-version.ts';
import type { Status } from './status.ts';

// The daemon's user is not root, and what it says is not taken for what it should be. Keys that a newer daemon adds pass.
const object = z.looseObject;

const text = z.string();
const count = z.number();
const origin = z.enum(['file', 'apply', 'try', 'rollback']);

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

const inForce = object({
  generation: count,
  version: count.nullable().optional(),
  stamp: text,
  since: text.nullable(),
  ageSeconds: count.nullable(),
}).nullable();

const trial = object({ file: text, since: text, secondsLeft: count }).nullable();
const pinned = object({ origin, version: count.nullable(), since: text }).nullable();

/** Of a status what commands go by that change something: they are to work whatever else a daemon's says. */
export type HoldingStatus = Pick<Status, 'policyFile' | 'trial' | 'pinned'>;

/** What `GET /v1/status` answers, and every call that changes something, as far as it is {@link HoldingStatus}. */
export const HOLDING: z.ZodType<HoldingStatus> = object({
  policyFile: text,
  trial,
  pinned,
});

/** Keys that the daemon of an earlier version, which may still run, does not answer. */
type LaterKey = 'interfaceNotes' | 'protected' | 'revokedFlows' | 'waitingFor';

/** A status as a daemon answers it, of this version or an earlier one. */
export type AnsweredStatus = Omit<Status, LaterKey> & { readonly [Key in LaterKey]?: Status[Key] | undefined };

/** What `GET /v1/status` answers. */
export const STATUS: z.ZodType<AnsweredStatus> = object({
  version: text,
  policyFile: text,
  instance: text.nullable(),
  state: z.enum(['enforced', 'refused', 'held', 'failing', 'cleared', 'starting']),
  protected: z.boolean().optional(),
  inForce,
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

/** A policy by its files, with the names of all documents among them. */
const POLICY_TEXTS: z.ZodType<PolicyTexts> = object({
  instance: text,
  documents: z.array(text).min(1),
  texts: z.record(text, text),
});

/** What `GET /v1/policy` answers. */
export const POLICY: z.ZodType<{ readonly policy: PolicyTexts | null; readonly inForce: Status['inForce'] }> = object({
  policy: POLICY_TEXTS.nullable(),
  inForce,
});

/** What `POST /v1/confirm` answers, as far as it is of use to anyone who does not take the daemon's word. */
export const CONFIRMED: z.ZodType<{ readonly policy: PolicyTexts }> = object({ policy: POLICY_TEXTS });

const version = { number: z.int().positive(), time: text, origin, of: count.nullable(), instance: text } as const;
const VERSION = object({ ...version, documents: z.array(text), identity: text });

/** What `GET /v1/history` answers. */
export const VERSIONS: z.ZodType<{ readonly versions: readonly PolicyVersion[] }> = object({
  versions: z.array(VERSION),
});

/** What `GET /v1/history/NUMBER` answers. */
export const KEPT_POLICY: z.ZodType<KeptPolicy> = VERSION.extend({ texts: POLICY_TEXTS });

const direction = z.enum(['inbound', 'outbound']);
const verdict = z.enum(['allow', 'deny']);

const RULE = object({
  group: text.nullable(),
  direction,
  index: count,
  priority: count,
  action: verdict,
  file: text,
  line: count,
  template: text.nullable(),
});

/** One packet that was logged. */
export const LOG_ENTRY: z.ZodType<LogEntry> = object({
  time: text,
  verdict,
  reason: z.enum(['rule', 'management', 'default', 'platform']),
  rule: RULE.nullable() satisfies z.ZodType<RuleReport | null>,
  platform: text.nullable().optional(),
  interface: text.nullable(),
  direction,
  protocol: text,
  src: text,
  dst: text,
  sport: count.nullable(),
  dport: count.nullable(),
  icmpType: count.nullable(),
  icmpCode: count.nullable(),
  length: count,
});

/** What `GET /v1/log` answers. */
export const LOG: z.ZodType<{ readonly entries: readonly LogEntry[] }> = object({ entries: z.array(LOG_ENTRY) });

/** What `GET /v1/stats` answers. */
export const STATS: z.ZodType<{ readonly stats: Stats | null }> = object({
  stats: object({
    counters: z.boolean(),
    rules: z.array(RULE.extend({ packets: count, bytes: count })),
    platform: z.array(object({ name: text, direction, packets: count, bytes: count })).optional(),
    defaults: z.array(object({ direction, interfaces: z.array(text), packets: count, bytes: count })),
  }).nullable(),
});
