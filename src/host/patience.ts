import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';

/** The clock is asked after so many steps: some milliseconds. */
const STEPS_BETWEEN_LOOKS = 20_000;

/** Patience that lasts so many seconds from now on; `onLook` is called now and then meanwhile. */
export function patienceOf(seconds: number, onLook: () => void = () => undefined): Patience {
  const end = performance.now() + 1000 * seconds;
  let steps = 0;
  return {
    seconds,
    spend(more) {
      steps += more;
      if (steps < STEPS_BETWEEN_LOOKS) return;
      steps = 0;
      onLook();
      if (performance.now() > end) throw new OutOfPatience();
    },
  };
}

/** Patience for so many steps: for what is done at once if it is little. */
export function patienceOfSteps(limit: number): Patience {
  let steps = 0;
  return {
    seconds: 0,
    spend(more) {
      steps += more;
      if (steps > limit) throw new OutOfPatience();
    },
  };
}
