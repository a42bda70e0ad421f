import type { Logger } from 'pino';
import { interfaceNotes } from '#core/meaning/lint/interface-notes.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';

/** Logs what becomes noteworthy of the host's interfaces, each thing once for as long as it holds. */
export function createInterfaceNotices(log: Logger): (policy: HostPolicy, host: HostState) => void {
  let told: readonly string[] = [];
  return (policy, host) => {
    const notes = interfaceNotes(policy, host);
    for (const { code, interface: name, message, help } of notes)
      if (!told.includes(message)) log.warn({ code, interface: name, help }, message);
    told = notes.map(({ message }) => message);
  };
}
