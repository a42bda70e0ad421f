import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pathOf, ROUTES, type Route, routeCall } from '#api/routes.ts';
import type { Status } from '#api/status.ts';
import { AlreadyRunning, serveApi } from '#daemon/serve/api-server.ts';

const POLICY = { instance: 'web', documents: ['/policy.yaml'], texts: { '/policy.yaml': 'version: 1\n' } };

const STATUS = {
  policyFile: '/policy.yaml',
  state: 'enforced',
  protected: true,
  inForce: null,
  refusal: null,
  trial: null,
  pinned: null,
  troubles: [],
  unmanagedInterfaces: { names: [], action: 'allow' },
  revokedFlows: { remembered: 0, leftOut: 0, trouble: null },
  changesApplied: 0,
  driftsMended: 0,
} as unknown as Status;

/** A body that the daemon takes, where a route has one. */
const BODIES: Readonly<Record<string, object>> = { try: { policy: POLICY, timeoutSeconds: 5 }, rollback: {} };

const directory = mkdtempSync(join(tmpdir(), 'secgroupd-api-'));
let changes: string[] = [];
let api: { close(): Promise<void> };

const note = (change: string) => async () => void changes.push(change);
const daemon: Parameters<typeof serveApi>[1] = {
  status: () => STATUS,
  fullStatus: async () => STATUS,
  revision: () => 0,
  policy: () => POLICY,
  reload: note('reload'),
  clear: note('clear'),
  history: { list: async () => [], open: async () => undefined },
  records: { stats: async () => undefined, log: () => [], follow: () => () => undefined },
  overrides: {
    tryOut: note('try'),
    confirm: async () => {
      changes.push('confirm');
      return { policy: POLICY, files: '' };
    },
    rollback: note('rollback'),
    endTrial: note('end of the trial'),
  },
  onInaccessible: () => undefined,
};

beforeAll(async () => {
  api = await serveApi(directory, daemon);
});

beforeEach(() => {
  changes = [];
});

afterAll(async () => {
  await api.close();
  rmSync(directory, { recursive: true });
});

interface Answered {
  readonly status: number | undefined;
  readonly text: string;
}

function call(socket: 'control' | 'reading', method: string, path: string, body?: object): Promise<Answered> {
  const socketPath = join(directory, socket === 'control' ? 'secgroupd.sock' : 'secgroupd-read.sock');
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.once('end', () => resolve({ status: response.statusCode, text }));
    });
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const routes = Object.entries<Route>(ROUTES);
const CHANGES = routes.filter(([, { mayChange }]) => mayChange);
const QUESTIONS = routes.filter(([name, { mayChange }]) => !mayChange && !['followLog', 'version'].includes(name));

describe('the routes', () => {
  test('are these, which users and scripts call', () => {
    expect(routes.map(([, { method, path, mayChange }]) => `${method} ${path}${mayChange ? ' changes' : ''}`)).toEqual([
      'GET /v1/status',
      'GET /v1/policy',
      'GET /v1/history',
      'GET /v1/history/NUMBER',
      'GET /v1/stats',
      'GET /v1/log',
      'GET /v1/log/follow',
      'POST /v1/reload changes',
      'POST /v1/clear changes',
      'POST /v1/try changes',
      'POST /v1/confirm changes',
      'POST /v1/rollback changes',
      'GET /metrics',
    ]);
  });

  test.each(routes)('%s is found by the call that a client makes', (name, route) => {
    const number = name === 'version' || name === 'followLog' ? 7 : undefined;
    expect(routeCall(`${route.method} ${pathOf(route, number)}`)).toEqual({ name, number });
  });

  test.each([
    'POST /v1/status',
    'GET /v1/try',
    'GET /v1/history/',
    'GET /v1/history/x',
    'GET /v1/history/NUMBER',
    'GET /v1/history/123456789',
    'GET /v1/log/follow?last=',
    'GET /v1/status?last=1',
    'GET /v1/status/',
    'GET x/v1/status',
  ])('none is found by %s', (asked) => expect(routeCall(asked)).toBeUndefined());
});

test.each(QUESTIONS)('%s is answered on both sockets, and its answer can be read', async (name, route) => {
  const { status, text } = await call('reading', route.method, route.path);
  expect([status, (await call('control', route.method, route.path)).status]).toEqual([200, 200]);
  // The state above is no whole status; every other answer is as the client reads it.
  if (name !== 'status') route.answer.parse(name === 'metrics' ? text : JSON.parse(text));
  expect(changes).toEqual([]);
});

test.each(CHANGES)(
  '%s changes something by the control socket, and nothing by the reading one',
  async (name, route) => {
    const refused = await call('reading', route.method, route.path, BODIES[name]);
    expect(refused).toMatchObject({ status: 403, text: expect.stringContaining('group secgroupd') as string });
    expect(changes).toEqual([]);
    const answered = await call('control', route.method, route.path, BODIES[name]);
    expect(answered.status).toBe(200);
    route.answer.parse(JSON.parse(answered.text));
    expect(changes).toEqual([name]);
  },
);

test.each([
  ['try', { policy: POLICY, timeoutSeconds: 86_401 }],
  ['try', { policy: { ...POLICY, documents: [] }, timeoutSeconds: 5 }],
  ['try', undefined],
  ['rollback', { version: 0 }],
  ['rollback', { versions: 1 }],
] as const)('an invalid body of %s, %j, changes nothing', async (name, body) => {
  const { status, text } = await call('control', 'POST', ROUTES[name].path, body);
  expect({ status, text }).toMatchObject({
    status: 400,
    text: expect.stringContaining('the body is invalid') as string,
  });
  expect(changes).toEqual([]);
});

test.each([
  ['/', 'there is no GET /'],
  ['/v1/', 'there is no GET /v1/'],
  ['/v1/history/99', 'there is no version 99'],
])('what is not there, %s, is answered with the list of calls', async (path, error) => {
  const { status, text } = await call('reading', 'GET', path);
  expect([status, JSON.parse(text)]).toEqual([
    404,
    {
      error,
      calls: [
        'GET /v1/status',
        'GET /v1/policy',
        'GET /v1/history',
        'GET /v1/history/NUMBER',
        'GET /v1/stats',
        'GET /v1/log',
        'GET /v1/log/follow?last=NUMBER',
        'POST /v1/reload',
        'POST /v1/clear',
        'POST /v1/try',
        'POST /v1/confirm',
        'POST /v1/rollback',
        'GET /metrics',
      ],
    },
  ]);
});

test('a change without a route is refused on the reading socket too', async () => {
  expect((await call('reading', 'DELETE', '/v1/status')).status).toBe(403);
  expect((await call('control', 'DELETE', '/v1/status')).status).toBe(404);
});

test('a second daemon is told of the first', async () => {
  await expect(serveApi(directory, daemon)).rejects.toThrow(AlreadyRunning);
});
