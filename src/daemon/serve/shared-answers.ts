/** Shares answers, so that a question asked again and again costs no more than asking once. */
export interface SharedAnswers<Answer> {
  /**
   * The answer to `question`, made by `make` unless an earlier one is still valid. Each question is answered once at a
   * time; no answer is older than the last change, or than the call if it took long to make. Throws what `make` throws.
   */
  ask(question: string, make: () => Promise<Answer>): Promise<Answer>;
}

/** What the validity of answers depends on. */
export interface Sharing {
  /** A number that differs after each change of what answers report. */
  readonly revision: () => number;
  /** The time in milliseconds. */
  readonly now: () => number;
}

/** An answer is valid for this many times as long as it took to make: a question takes at most a twentieth of the daemon's time. */
const VALID_TIMES_ITS_COST = 20;

/** The longest validity of an answer. */
const MAX_AGE_MILLISECONDS = 2_000;

interface SharedAnswer<Answer> {
  readonly revision: number;
  readonly began: number;
  readonly answer: Promise<Answer>;
  /** The end of its validity; undefined while it is being made. */
  until: number | undefined;
}

/** Shares no answer yet. */
export function createSharedAnswers<Answer>({ revision, now }: Sharing): SharedAnswers<Answer> {
  const made = new Map<string, SharedAnswer<Answer>>();

  const isValid = ({ revision: then, began, until }: SharedAnswer<Answer>, asked: number): boolean =>
    until === undefined ? then === revision() || began >= asked : then === revision() && now() < until;

  const begin = (question: string, make: () => Promise<Answer>): Promise<Answer> => {
    for (const [other, { until }] of made) if (until !== undefined && until <= now()) made.delete(other);
    const began = now();
    const answer: SharedAnswer<Answer> = { revision: revision(), began, answer: make(), until: undefined };
    made.set(question, answer);
    answer.answer.then(
      () => {
        const ended = now();
        answer.until = ended + Math.min(VALID_TIMES_ITS_COST * (ended - began), MAX_AGE_MILLISECONDS);
      },
      () => made.delete(question),
    );
    return answer.answer;
  };

  return {
    async ask(question, make) {
      const asked = now();
      for (;;) {
        const latest = made.get(question);
        if (latest !== undefined && isValid(latest, asked)) return latest.answer;
        if (latest === undefined || latest.until !== undefined) return begin(question, make);
        // The answer being made is older than a change; waiting for it keeps a question from being answered twice at once.
        await latest.answer.catch(() => undefined);
      }
    },
  };
}
