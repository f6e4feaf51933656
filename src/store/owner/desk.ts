import { randomBytes } from 'node:crypto';
import { FatalError } from '../../errors.js';
import type { Logger } from '../../logger.js';
import { makePrivateDirectory } from '../level-store.js';
import { publishOwner, withdrawOwner } from './owner-file.js';
import { serve, type Handlers } from './server.js';
import { socketPath } from './socket-path.js';

/** A process that answers in a directory without a store. */
export interface Desk {
  readonly close: () => Promise<void>;
}

/**
 * Answers on a socket, as the owner of a state directory does, and makes itself known there. Nothing keeps two
 * processes from the same directory: whoever gives it out gives it to one.
 *
 * @throws FatalError when the directory or the socket cannot be used.
 */
export async function openDesk(directory: string, handlers: Handlers, logger?: Logger): Promise<Desk> {
  await makePrivateDirectory(directory);
  const token = randomBytes(16).toString('hex');
  const socket = await socketPath(directory);
  const noStore = (): never => {
    throw new FatalError('this process keeps no state');
  };
  const server = await serve({
    socket,
    token,
    handlers,
    owned: { join: noStore },
    ...(logger !== undefined && { logger }),
  });
  await publishOwner(directory, socket, token);
  return {
    close: async () => {
      await withdrawOwner(directory);
      await server.close();
    },
  };
}
