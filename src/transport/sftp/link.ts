import type { RetryableError } from '../../errors.js';
import type { Watch } from '../watch.js';
import { type Channel, openChannel } from './channel.js';
import type { Connection } from './connect.js';

/** One connection to a server for all who use it: opened by whoever needs it first, and again when it was lost. */
export interface Link {
  /** The open channel, or a new one. Rejects when it cannot be opened, and when the watch is cut. */
  readonly channel: (guard: Watch) => Channel | Promise<Channel>;
  /** This channel is of no use any more: everything on it fails, and the next one gets another. */
  readonly giveUp: (channel: Channel, reason: RetryableError) => void;
  readonly close: () => Promise<void>;
}

interface Opening {
  readonly channel: Promise<Channel>;
  readonly controller: AbortController;
  waiting: number;
}

export interface LinkOptions {
  readonly connect: (stop: AbortSignal) => Promise<Connection>;
  /** Requests under way, at most. */
  readonly requests: number;
}

export function openLink({ connect, requests }: LinkOptions): Link {
  let opening: Opening | undefined;
  let current: { readonly channel: Channel; readonly connection: Connection } | undefined;

  const begin = (): Opening => {
    const controller = new AbortController();
    const made: Opening = {
      controller,
      waiting: 0,
      channel: connect(controller.signal)
        .then((connection) => {
          const channel = openChannel(connection.sftp, requests, connection.gather);
          current = { channel, connection };
          connection.onEnd((reason) => {
            channel.lose(reason);
            if (current?.channel === channel) current = undefined;
          });
          return channel;
        })
        .finally(() => {
          if (opening === made) opening = undefined;
        }),
    };
    made.channel.catch(() => undefined);
    opening = made;
    return made;
  };
  const join = async (guard: Watch): Promise<Channel> => {
    const joined = opening ?? begin();
    joined.waiting += 1;
    try {
      // It has its own deadline: here only a stop counts.
      return await new Promise<Channel>((resolve, reject) => {
        const reason = guard.cut();
        if (reason !== undefined) reject(reason);
        guard.onCut(reject);
        joined.channel.then(resolve, reject);
      });
    } finally {
      joined.waiting -= 1;
      if (joined.waiting === 0 && opening === joined) {
        opening = undefined;
        joined.controller.abort();
      }
    }
  };

  return {
    channel: (guard) => current?.channel ?? join(guard),
    giveUp: (channel, reason) => {
      channel.lose(reason);
      if (current?.channel !== channel) return;
      const { connection } = current;
      current = undefined;
      connection.destroy();
    },
    close: async () => {
      opening?.controller.abort();
      const connection = current?.connection;
      current = undefined;
      await connection?.end();
    },
  };
}
