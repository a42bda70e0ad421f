import { chown, realpath, stat } from 'node:fs/promises';
import { createPolicyReader } from '../host/policy-reader.ts';
import { filesBeside, identityOfTexts, policyTexts } from '../host/policy-texts.ts';
import { FileWriteError, writeFileAtomically } from '../host/write-file.ts';
import { createPolicyLoader } from '../load-policy.ts';
import type { PolicyTexts } from '../model/policy-texts.ts';
import { type Command, EXIT, type Streams } from './command.ts';
import { askRunningDaemon } from './daemon-client.ts';
import { OPTION, socketPath } from './options.ts';

/** `sgctl confirm`: what is tried stays. */
export const confirm: Command = {
  name: 'confirm',
  summary: 'Keeps the policy that is tried, and writes it to the policy file.',
  usage: '',
  options: { json: OPTION.json, 'runtime-dir': OPTION.runtimeDir, help: OPTION.help },
  mostPositionals: 0,
  examples: ['sudo sgctl confirm'],
  async run(line, streams) {
    const { installed, message } = await confirmTrial(socketPath(line));
    report({ installed, message }, line.given('json'), streams);
    return EXIT.fine;
  },
};

function report(result: ConfirmResult, json: boolean, streams: Streams): void {
  streams.out(json ? `${JSON.stringify({ confirmed: true, ...result }, null, 2)}\n` : `${result.message}\n`);
}

/** What became of a confirmed policy. */
export interface ConfirmResult {
  /** Whether the policy file says it now. */
  readonly installed: boolean;
  readonly message: string;
}

/** Has the daemon keep what is tried, and writes it to the policy file. Throws an UnableError where nothing is tried. */
export async function confirmTrial(socket: string): Promise<ConfirmResult> {
  const confirmed = (await askRunningDaemon(socket, 'POST', '/v1/confirm')) as Confirmed;
  const { policyFile } = confirmed;
  const trouble = await install(confirmed);
  if (trouble === undefined) return { installed: true, message: `confirmed: ${policyFile} says it now` };
  const message = `confirmed, and in force until ${policyFile} changes, which was not written: ${trouble}`;
  return { installed: false, message };
}

interface Confirmed {
  readonly policy: PolicyTexts;
  readonly files: string;
  readonly policyFile: string;
}

/** Writes the policy file, with the mode and the owner it has; returns why not, where it was not. */
async function install({ policy, files, policyFile }: Confirmed): Promise<string | undefined> {
  const present = policyTexts(await createPolicyLoader(createPolicyReader(policyFile, 'any'))(), '');
  if (identityOfTexts(present) === identityOfTexts(policy)) return undefined;
  if (identityOfTexts(present) !== files) return 'it was changed meanwhile';
  const [theirs, ours] = [filesBeside(present), filesBeside(policy)];
  const others = [...ours].filter(([name]) => name !== '');
  if (theirs.size !== ours.size || others.some(([name, text]) => theirs.get(name) !== text))
    return 'its drop-ins and lists are not those of the file that was tried; copy all of them';
  try {
    const path = await realpath(policyFile);
    const { mode, uid, gid } = await stat(path);
    await writeFileAtomically(path, ours.get('') ?? '', mode & 0o7777);
    await chown(path, uid, gid);
    return undefined;
  } catch (error) {
    if (error instanceof FileWriteError) return error.message;
    return error instanceof Error ? error.message : String(error);
  }
}
