import type { AnswerOf } from '#api/routes.ts';
import type { Call } from './listen-socket.ts';
import type { PacketRecords } from './packet-records.ts';
import { RequestError } from './request-error.ts';

/** A part of a socket's connections, so that followers leave room for questions. */
const MAX_FOLLOWERS = 16;

/** How many earlier packets are sent first by default. */
const DEFAULT_EARLIER = 10;

/** The clients that follow the log on one socket. */
export interface LogFollowers {
  /**
   * Sends the last `earlier` packets and then each new one, a line of JSON each, until the client goes. Throws a
   * RequestError if too many clients follow already.
   */
  add(call: Call, earlier: number | undefined): void;
}

/** No follower yet. */
export function createLogFollowers(records: Pick<PacketRecords, 'log' | 'follow'>): LogFollowers {
  let count = 0;
  return {
    add({ response }, earlier = DEFAULT_EARLIER) {
      if (count >= MAX_FOLLOWERS)
        throw new RequestError(503, `${MAX_FOLLOWERS} clients follow the log already: ask again when one of them ends`);
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const write = (entry: AnswerOf<'followLog'>): void => {
        // A client that does not read is sent no more than a buffer.
        if (!response.writableNeedDrain) response.write(`${JSON.stringify(entry)}\n`);
      };
      response.flushHeaders();
      for (const entry of earlier === 0 ? [] : records.log().slice(-earlier)) write(entry);
      const end = records.follow(write);
      count += 1;
      response.once('close', () => {
        count -= 1;
        end();
      });
    },
  };
}
