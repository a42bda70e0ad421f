/** What has been answered, so that the same question, asked again and again, costs no more than being asked once. */
export interface SharedAnswers<Answer> {
  /**
   * The answer to `question`, by `make` where there is none that still holds. Each question is at work once at a time, and
   * no answer is older than the last change, nor than the call where it took long to make. Throws what `make` throws.
   */
  ask(question: string, make: () => Promise<Answer>): Promise<Answer>;
}

/** What sharing goes by. */
export interface Sharing {
  /** A number that is another after each change of what answers tell. */
  readonly revision: () => number;
  /** In milliseconds. */
  readonly now: () => number;
}

/** An answer stands for so many times as long as it took to make: a twentieth of the daemon's time is the most a question takes. */
const STANDS_TIMES_ITS_COST = 20;

/** However dear, it is made anew after so long. */
const MAX_AGE_MILLISECONDS = 2_000;

interface Made<Answer> {
  readonly revision: number;
  readonly began: number;
  readonly answer: Promise<Answer>;
  /** Until when it stands; undefined while it is at work. */
  until: number | undefined;
}

/** Nothing answered yet. */
export function createSharedAnswers<Answer>({ revision, now }: Sharing): SharedAnswers<Answer> {
  const made = new Map<string, Made<Answer>>();

  const holds = ({ revision: then, began, until }: Made<Answer>, asked: number): boolean =>
    until === undefined ? then === revision() || began >= asked : then === revision() && now() < until;

  const begin = (question: string, make: () => Promise<Answer>): Promise<Answer> => {
    for (const [other, { until }] of made) if (until !== undefined && until <= now()) made.delete(other);
    const began = now();
    const one: Made<Answer> = { revision: revision(), began, answer: make(), until: undefined };
    made.set(question, one);
    one.answer.then(
      () => {
        const ended = now();
        one.until = ended + Math.min(STANDS_TIMES_ITS_COST * (ended - began), MAX_AGE_MILLISECONDS);
      },
      () => made.delete(question),
    );
    return one.answer;
  };

  return {
    async ask(question, make) {
      const asked = now();
      for (;;) {
        const one = made.get(question);
        if (one !== undefined && holds(one, asked)) return one.answer;
        if (one === undefined || one.until !== undefined) return begin(question, make);
        // What is at work was begun before a change; its end is waited for, so that no question is at work twice.
        await one.answer.catch(() => undefined);
      }
    },
  };
}
