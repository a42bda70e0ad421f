import { z } from 'zod';
import { ROLLBACK_REQUEST, TRIAL_REQUEST } from './change-bodies.ts';
import { LOG_ENTRY } from './log-entry.ts';
import { KEPT_POLICY, POLICY_TEXTS, VERSIONS } from './policy-answers.ts';
import { RULE_HITS } from './rule-hits.ts';
import { IN_FORCE, OVERRIDE_STATUS, STATUS } from './status-answer.ts';

/** A call that the daemon answers. */
export interface Route<Answer = unknown, Body = unknown> {
  readonly method: 'GET' | 'POST';
  /** `NUMBER` in it stands for up to eight digits. */
  readonly path: string;
  /** The key of a number that may follow the path: `?last=5`. */
  readonly query?: string;
  /** Whether it can change something: only the control socket serves such a call. */
  readonly mayChange: boolean;
  /** Reads the body; a route without one ignores the body. */
  readonly body?: z.ZodType<Body>;
  /** Reads the answer of status 200: JSON, except for `metrics`; of `followLog`, one line. */
  readonly answer: z.ZodType<Answer>;
}

/** Every route. The daemon dispatches by this table and lists it where a call has no route; sgctl calls and reads by it. */
export const ROUTES = {
  status: { method: 'GET', path: '/v1/status', mayChange: false, answer: STATUS },
  policy: {
    method: 'GET',
    path: '/v1/policy',
    mayChange: false,
    answer: z.looseObject({ policy: POLICY_TEXTS.nullable(), inForce: IN_FORCE }),
  },
  history: { method: 'GET', path: '/v1/history', mayChange: false, answer: VERSIONS },
  version: { method: 'GET', path: '/v1/history/NUMBER', mayChange: false, answer: KEPT_POLICY },
  stats: {
    method: 'GET',
    path: '/v1/stats',
    mayChange: false,
    answer: z.looseObject({ stats: RULE_HITS.nullable() }),
  },
  log: {
    method: 'GET',
    path: '/v1/log',
    mayChange: false,
    answer: z.looseObject({ entries: z.array(LOG_ENTRY).readonly() }),
  },
  followLog: { method: 'GET', path: '/v1/log/follow', query: 'last', mayChange: false, answer: LOG_ENTRY },
  reload: { method: 'POST', path: '/v1/reload', mayChange: true, answer: OVERRIDE_STATUS },
  clear: { method: 'POST', path: '/v1/clear', mayChange: true, answer: OVERRIDE_STATUS },
  try: { method: 'POST', path: '/v1/try', mayChange: true, body: TRIAL_REQUEST, answer: OVERRIDE_STATUS },
  confirm: {
    method: 'POST',
    path: '/v1/confirm',
    mayChange: true,
    answer: z.looseObject({ policy: POLICY_TEXTS }),
  },
  rollback: {
    method: 'POST',
    path: '/v1/rollback',
    mayChange: true,
    body: ROLLBACK_REQUEST,
    answer: OVERRIDE_STATUS,
  },
  metrics: { method: 'GET', path: '/metrics', mayChange: false, answer: z.string() },
} as const satisfies Readonly<Record<string, Route>>;

/** The name of a route. */
export type RouteName = keyof typeof ROUTES;

/** What a route answers. */
export type AnswerOf<Name extends RouteName> = z.infer<(typeof ROUTES)[Name]['answer']>;

/** The routes that can change something. */
export type ChangeName = {
  [Name in RouteName]: (typeof ROUTES)[Name]['mayChange'] extends true ? Name : never;
}[RouteName];

/** The status, read for its override alone: a command that changes something works with a daemon of any version. */
export const OVERRIDE_ROUTE = { ...ROUTES.status, answer: OVERRIDE_STATUS } satisfies Route;

const NUMBER = 'NUMBER';

/** The path of a call, with the number if the route takes one. */
export function pathOf({ path, query }: Route, number: number | undefined): string {
  if (number === undefined) return path;
  return query === undefined ? path.replace(NUMBER, String(number)) : `${path}?${query}=${number}`;
}

/** Every route as a person reads it: `GET /v1/history/NUMBER`. */
export const ROUTE_TEXTS: readonly string[] = Object.values<Route>(ROUTES).map(
  ({ method, path, query }) => `${method} ${path}${query === undefined ? '' : `?${query}=${NUMBER}`}`,
);

const DIGITS = '([0-9]{1,8})';

const PATTERNS = Object.entries<Route>(ROUTES).map(([name, { method, path, query }]) => {
  const optional = query === undefined ? '' : `(?:\\?${query}=${DIGITS})?`;
  return { name: name as RouteName, pattern: new RegExp(`^${method} ${path.replace(NUMBER, DIGITS)}${optional}$`) };
});

/** A call's route, and the number in the call. */
export interface RoutedCall {
  readonly name: RouteName;
  readonly number: number | undefined;
}

/** Finds the route of a call, given as `GET /v1/history/7`; undefined if it has none. */
export function routeCall(call: string): RoutedCall | undefined {
  for (const { name, pattern } of PATTERNS) {
    const found = pattern.exec(call);
    if (found !== null) return { name, number: found[1] === undefined ? undefined : Number(found[1]) };
  }
  return undefined;
}
