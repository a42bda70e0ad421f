import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { clearFlowLabels } from '#kernel/conntrack/flow-labels.ts';
import { NetfilterError } from '#kernel/errors.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { applyElements } from '#kernel/nftables/element-change.ts';
import { writeElements } from '#kernel/nftables/encode-elements.ts';
import { fillSet } from '#kernel/nftables/fill-set.ts';
import { labelsSupported } from '#kernel/nftables/labels-supported.ts';
import { routeLookupsSupported } from '#kernel/nftables/route-lookups-supported.ts';
import type { Answer, Call, Calls, Flows } from './calls.ts';

/** Forgets all flows once they were listed: IPCTNL_MSG_CT_DELETE without a tuple. */
class ForgetfulSocket extends NetfilterSocket {
  override async dump(...args: Parameters<NetfilterSocket['dump']>): Promise<void> {
    await super.dump(...args);
    const writer = new MessageWriter();
    writer.beginMessage({ type: (1 << 8) | 2, flags: 0, family: 0 });
    writer.endMessage();
    await super.request(writer.messages);
  }
}

const socket = new NetfilterSocket();
const senders = new Map<Flows['family'], Promise<Socket>>();

const calls: { [Name in keyof Calls]: (...args: Parameters<Calls[Name]>) => Promise<ReturnType<Calls[Name]>> } = {
  applyElements: async (change) => applyElements(socket, change),
  applyAndClose: async (change) => {
    const applying = applyElements(socket, change);
    await Promise.resolve();
    socket.close();
    await applying;
  },
  rehearse: async (set, element) => {
    const writer = new MessageWriter();
    writeElements(writer, 'add', set, [element]);
    await socket.rehearse(writer.messages);
  },
  fillSet: async (set, elements) => countTurns(async () => fillSet(socket, set, elements)),
  sendDatagrams: async ({ family, address = family === 'ipv4' ? '127.0.0.1' : '::1', firstPort, lastPort }) => {
    const sender = await senderOf(family);
    for (let port = firstPort; port <= lastPort; port += 1) {
      await new Promise<void>((resolve, reject) => {
        sender.send('x', port, address, (error) => (error === null ? resolve() : reject(error)));
      });
    }
  },
  clearFlowLabels: async (bits, passes) => clearFlowLabels(socket, bits, passes),
  clearLabelsOfGone: async (bits) => clearFlowLabels(new ForgetfulSocket(), bits),
  labelsSupported: async () => labelsSupported(socket),
  routeLookupsSupported: async () => routeLookupsSupported(socket),
  countFlows: async () => Number(readFileSync('/proc/sys/net/netfilter/nf_conntrack_count', 'utf8')),
};

async function senderOf(family: Flows['family']): Promise<Socket> {
  const open = async (): Promise<Socket> => {
    const sender = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
    sender.bind(0);
    await once(sender, 'listening');
    return sender;
  };
  const sender = senders.get(family) ?? open();
  senders.set(family, sender);
  return sender;
}

async function countTurns(act: () => Promise<void>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await act();
  isOver = true;
  return turns;
}

process.on('message', ({ id, name, args }: Call) => {
  const call = calls[name] as (...args: readonly unknown[]) => Promise<unknown>;
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
