import { createInterface } from 'node:readline/promises';

/** Asks the user at the terminal. No answer within `milliseconds` counts as no, and so does Ctrl-C. */
export async function agrees(question: string, milliseconds?: number): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const late = milliseconds === undefined ? undefined : AbortSignal.timeout(Math.ceil(milliseconds));
  try {
    const asked = `${question} [y/N] `;
    const answer = await (late === undefined ? terminal.question(asked) : terminal.question(asked, { signal: late }));
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') return false;
    if (late?.aborted === true) return false;
    throw error;
  } finally {
    terminal.close();
  }
}
