import { dirname, isAbsolute, join } from 'node:path';
import type { FileText, PolicyReader } from '../model/policy-reader.ts';
import type { PolicyTexts } from '../model/policy-texts.ts';
import type { Status } from '../model/status.ts';
import { UnableError } from './command.ts';
import { askDaemon } from './daemon-client.ts';

/** What the daemon says of what is in force: a policy, or nothing of ours. */
export type InForcePolicy =
  | { readonly kind: 'policy'; readonly generation: number; readonly texts: PolicyTexts }
  | { readonly kind: 'nothing' };

/** Asks the daemon which policy is in force. Throws an UnableError where there is no daemon, or it does not know. */
export async function policyInForce(socket: string): Promise<InForcePolicy> {
  const answer = (await askDaemon(socket, 'GET', '/v1/policy')) as
    | { readonly policy: PolicyTexts | null; readonly inForce: Status['inForce'] }
    | undefined;
  if (answer === undefined) {
    throw new UnableError(
      `no daemon serves ${socket}\nhelp: systemctl start secgroupd, or name the file to compare with: --against FILE`,
    );
  }
  if (answer.inForce === null) return { kind: 'nothing' };
  if (answer.policy === null) {
    throw new UnableError(
      'the rules in force are from an earlier run of the daemon, and it does not have their policy\nhelp: name the file to compare with: --against FILE',
    );
  }
  return { kind: 'policy', generation: answer.inForce.generation, texts: answer.policy };
}

/** Reads a policy from its texts. */
export function readerOfTexts({ documents, texts }: PolicyTexts): PolicyReader {
  const read = async (file: string): Promise<FileText> => {
    const text = texts[file];
    return text === undefined
      ? { kind: 'unreadable', file, message: `\`${file}\` is not among the files in force`, help: undefined }
      : { kind: 'text', file, text };
  };
  const [main = '', ...dropIns] = documents;
  return {
    readPolicy: () => read(main),
    readDropIns: () => Promise.all(dropIns.map(read)),
    readList: (document, name) => read(isAbsolute(name) ? name : join(dirname(document), name)),
  };
}
