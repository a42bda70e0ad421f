import { type IncomingMessage, request } from 'node:http';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { pathOf, ROUTES, type Route } from './routes.ts';
import { CONTROL_GROUP, READING_GROUP, READING_SOCKET } from './socket-names.ts';

/** For a whole answer. A call that changes something waits for a change in progress, which may load a big list. */
const TIMEOUT_MILLISECONDS = 90_000;

/** The longest answers are policies, which with their lists are no longer than a policy that may be tried. */
const MAX_ANSWER_BYTES = 400 * 1024 * 1024;

/** One line of the followed log. */
const MAX_LINE_LENGTH = 1024 * 1024;

/** In characters: how much of an invalid answer a message quotes. */
const MAX_QUOTED_LENGTH = 1_000;

/** The daemon is not there, refuses the call, or gives an invalid answer. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
}

/** The variable parts of a call. */
export interface CallArguments<Body> {
  /** The number in the path or behind it. */
  readonly number?: number | undefined;
  readonly body?: Body & object;
  /** Whether to ask on the control socket alone, because a change depends on the answer. */
  readonly isForChange?: boolean;
}

/**
 * Calls the daemon and returns its answer; undefined if no daemon serves the socket. Throws a DaemonError, also for an
 * answer that is invalid, too long or too late: the daemon is not root, and sgctl does not trust it.
 */
export async function askDaemon<Answer, Body>(
  socketPath: string,
  route: Route<Answer, Body>,
  { number, body, isForChange = route.mayChange }: CallArguments<Body> = {},
): Promise<Answer | undefined> {
  const { method } = route;
  const path = pathOf(route, number);
  const text = await exchange({ socketPath, method, path, body, isForChange });
  return text === undefined ? undefined : readAnswer(text, route.answer, `${method} ${path}`);
}

/** As {@link askDaemon}; also throws a DaemonError if no daemon serves the socket. */
export async function askRunningDaemon<Answer, Body>(
  socketPath: string,
  route: Route<Answer, Body>,
  parts?: CallArguments<Body>,
): Promise<Answer> {
  const answer = await askDaemon(socketPath, route, parts);
  if (answer === undefined) throw new DaemonError(`no daemon serves ${socketPath}\nhelp: systemctl start secgroupd`);
  return answer;
}

/** Whether a daemon serves the socket, whatever it answers. Throws a DaemonError if the socket cannot be reached. */
export async function isDaemonServing(socketPath: string): Promise<boolean> {
  return (await askDaemon(socketPath, { ...ROUTES.status, answer: z.unknown() })) !== undefined;
}

function readAnswer<Answer>(text: string, schema: z.ZodType<Answer>, call: string): Answer {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const reason = issue === undefined ? 'not JSON' : `${issue.path.join('.') || 'the whole'}: ${issue.message}`;
    throw new DaemonError(
      `the daemon's answer to ${call} is invalid (${reason.slice(0, MAX_QUOTED_LENGTH)})\nhelp: are sgctl and the daemon of the same version?`,
    );
  }
}

/**
 * Calls `onLine` for each line that the daemon sends, as it arrives; resolves when the daemon ends the answer. Throws a
 * DaemonError if no daemon serves the socket, or for an invalid line.
 */
export async function followDaemon<Line>(
  socketPath: string,
  { route, number }: { readonly route: Route<Line>; readonly number: number | undefined },
  onLine: (line: Line) => void,
): Promise<void> {
  const path = pathOf(route, number);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const ask = (socket: string): void => {
      const call = request({ socketPath: socket, method: route.method, path }, resolve);
      call.once('error', (error: NodeJS.ErrnoException) => {
        const other = error.code === 'EACCES' ? readingSocket(socket) : undefined;
        if (other !== undefined) ask(other);
        else reject(new DaemonError(`no daemon serves ${socket}: ${error.message}`));
      });
      call.end();
    };
    ask(socketPath);
  });
  if (response.statusCode !== 200) throw new DaemonError(`the daemon answered ${response.statusCode ?? 'nothing'}`);
  try {
    let rest = '';
    for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = `${rest}${piece}`.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE_LENGTH) throw new DaemonError('the daemon sends a line without an end');
      for (const line of lines) onLine(readAnswer(line, route.answer, `${route.method} ${path}`));
    }
  } catch (error) {
    // A daemon that ends cuts the answer off.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  } finally {
    response.destroy();
  }
}

interface Exchange {
  readonly socketPath: string;
  readonly method: Route['method'];
  readonly path: string;
  readonly body: object | undefined;
  readonly isForChange: boolean;
}

/** The reading socket beside a control socket; undefined for the reading socket itself. */
function readingSocket(socketPath: string): string | undefined {
  const path = join(dirname(socketPath), READING_SOCKET);
  return path === socketPath ? undefined : path;
}

function exchange({ socketPath, method, path, body, isForChange }: Exchange): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => call.destroy(new Error('the daemon does not answer')), TIMEOUT_MILLISECONDS);
    const call = request({ socketPath, method, path }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MAX_ANSWER_BYTES) chunks.push(chunk);
        else call.destroy(new Error(`the daemon's answer is longer than ${MAX_ANSWER_BYTES} bytes`));
      });
      response.once('error', (error) => reject(new DaemonError(`${socketPath}: ${error.message}`)));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new DaemonError(errorIn(text) ?? unexpectedStatus(response, text)));
      });
    });
    call.once('close', () => clearTimeout(deadline));
    call.once('error', (error: NodeJS.ErrnoException) => {
      const other = error.code === 'EACCES' && !isForChange ? readingSocket(socketPath) : undefined;
      if (other !== undefined) resolve(exchange({ socketPath: other, method, path, body, isForChange }));
      else if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(new DaemonError(`${socketPath}: ${error.code === 'EACCES' ? denied(isForChange) : error.message}`));
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function denied(isForChange: boolean): string {
  const groups = isForChange ? CONTROL_GROUP : `${CONTROL_GROUP}, or ${READING_GROUP} to look`;
  return `permission denied: run as root, or join the group ${groups}`;
}

/** The error that an answer reports; undefined if it reports none. */
function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

function unexpectedStatus({ statusCode = 0 }: IncomingMessage, text: string): string {
  return `the daemon answered with status ${statusCode}: ${text.slice(0, MAX_QUOTED_LENGTH)}`;
}
