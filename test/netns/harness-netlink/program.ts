import { applyElements } from '../../../src/nft/element-change.ts';
import { NetfilterError } from '../../../src/nft/netfilter-error.ts';
import { NetfilterSocket } from '../../../src/nft/netfilter-socket.ts';
import type { Answer, Call, Calls } from './calls.ts';

const socket = new NetfilterSocket();

const calls: { [Name in keyof Calls]: (...args: Parameters<Calls[Name]>) => Promise<ReturnType<Calls[Name]>> } = {
  applyElements: async (change) => applyElements(socket, change),
  applyAll: async (changes) => {
    const milliseconds: number[] = [];
    for (const change of changes) {
      const start = performance.now();
      await applyElements(socket, change);
      milliseconds.push(performance.now() - start);
    }
    return milliseconds;
  },
};

process.on('message', ({ id, name, args }: Call) => {
  const call = calls[name] as (...args: unknown[]) => Promise<unknown>;
  call(...args).then(
    (result) => answer({ id, result }),
    (error: unknown) => {
      const { message } = error as Error;
      const refused =
        error instanceof NetfilterError ? { failure: error.failure, errno: error.errno, index: error.index } : {};
      answer({ id, error: { message, ...refused } });
    },
  );
});

function answer(content: Answer): void {
  process.send?.(content);
}
