/** Lets questions be answered, and systemd be told that the daemon lives. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
