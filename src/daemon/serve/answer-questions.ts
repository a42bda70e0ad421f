import type { AnswerOf, ChangeName, RouteName } from '#api/routes.ts';
import type { Status } from '#api/status.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { History } from '#host/state/history.ts';
import { jsonWithTexts, lengthOf, longTexts } from './long-answer.ts';
import { formatMetrics } from './metrics.ts';
import type { PacketRecords } from './packet-records.ts';
import type { Answer } from './send-answer.ts';

/** The state that questions are answered from. */
export interface AnsweredState {
  readonly status: () => Status;
  /** The status together with what has to be read from the kernel first. */
  readonly fullStatus: () => Promise<Status>;
  /** The policy in force; undefined if none is, or its text is unknown. */
  readonly policy: () => PolicyTexts | undefined;
  readonly history: Pick<History, 'list' | 'open'>;
  readonly records: Pick<PacketRecords, 'stats' | 'log' | 'follow'>;
}

/** A route that is answered once and changes nothing. */
export type QuestionName = Exclude<RouteName, ChangeName | 'followLog'>;

/** The handler of each question; its argument is the number in the call. */
export type Questions = {
  readonly [Name in QuestionName]: (number: number | undefined) => Promise<Answer<AnswerOf<Name>>>;
};

/** The handlers of the questions about `state`. */
export function questionsOf(state: AnsweredState): Questions {
  const { history, records } = state;
  return {
    status: async () => json(await state.fullStatus()),
    policy: async () => policyAnswer(state),
    history: async () => json({ versions: await history.list() }),
    version: async (number = 0) => versionAnswer(number, state),
    stats: async () => json({ stats: (await records.stats()) ?? null }),
    log: async () => json({ entries: records.log() }),
    metrics: async () => ({
      kind: 'text',
      type: 'text/plain; version=0.0.4',
      text: formatMetrics(state.status()),
    }),
  };
}

function json<Value>(value: Value): Answer<Value> {
  return { kind: 'json', value };
}

function policyAnswer({ policy: inForcePolicy, status }: AnsweredState): Answer<AnswerOf<'policy'>> {
  const policy = inForcePolicy();
  const { inForce } = status();
  if (policy === undefined) return json({ policy: null, inForce });
  const texts = longTexts(policy);
  return {
    kind: 'pieces',
    bytes: lengthOf(texts),
    pieces: () => jsonWithTexts({}, { key: 'policy', texts }, { inForce }),
  };
}

async function versionAnswer(number: number, { history }: AnsweredState): Promise<Answer<AnswerOf<'version'>>> {
  const opened = await history.open(number);
  if (opened === undefined) return { kind: 'missing', what: `version ${number}` };
  const { texts: openedTexts, ...version } = opened;
  const { instance, documents } = version;
  const texts = { instance, documents, texts: openedTexts };
  return { kind: 'pieces', bytes: lengthOf(texts), pieces: () => jsonWithTexts(version, { key: 'texts', texts }) };
}
