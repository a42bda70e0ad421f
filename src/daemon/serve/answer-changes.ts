import { z } from 'zod';
import { type AnswerOf, type ChangeName, ROUTES, type RouteName } from '#api/routes.ts';
import type { Status } from '#api/status.ts';
import type { PolicyOverrides } from '#daemon/reconcile/override.ts';
import { RequestError } from './request-error.ts';

/** The changes that calls can make. */
export interface ChangedState {
  readonly status: () => Status;
  /** Reads everything again; resolves when it is in force or refused. */
  readonly reload: () => Promise<void>;
  /** Removes the rules. */
  readonly clear: () => Promise<void>;
  readonly overrides: Pick<PolicyOverrides, 'tryOut' | 'confirm' | 'rollback' | 'endTrial'>;
}

/** The handler of each call that changes something; its argument is the text of the call's body. */
export type Changes = { readonly [Name in ChangeName]: (body: string) => Promise<AnswerOf<Name>> };

/** Whether a route can change something. */
export function isChange(name: RouteName): name is ChangeName {
  return ROUTES[name].mayChange;
}

/** The handlers of the calls that change `state`. */
export function changesOf(state: ChangedState): Changes {
  const { overrides, status } = state;
  return {
    async reload() {
      await state.reload();
      return status();
    },
    async clear() {
      await state.clear();
      return status();
    },
    async try(body) {
      const { policy, timeoutSeconds, file } = parseBody(ROUTES.try.body, body);
      await overrides.tryOut({ texts: policy, seconds: timeoutSeconds, file });
      return status();
    },
    async confirm() {
      return { ...(await overrides.confirm()), policyFile: status().policyFile };
    },
    async rollback(body) {
      const { version, trialOnly } = parseBody(ROUTES.rollback.body, body === '' ? '{}' : body);
      if (trialOnly === true) await overrides.endTrial();
      else await overrides.rollback(version);
      return status();
    },
  };
}

function parseBody<Body>(schema: z.ZodType<Body>, text: string): Body {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError)
      throw new RequestError(400, `the body is invalid: ${error.message}`);
    throw error;
  }
}
