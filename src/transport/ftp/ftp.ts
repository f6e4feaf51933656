import type { Logger } from '../../logger.js';
import { isIP } from 'node:net';
import { notAllowed, publicLookup, systemAddresses, type Addresses } from '../public-lookup.js';
import type { Session, TransferLimits, Transport } from '../transport.js';
import { watch } from '../watch.js';
import { accountOf, type Account } from './account.js';
import { openClients } from './clients.js';
import { openDialogue, type Dialogue } from './dialogue.js';
import { fetchFile } from './download.js';
import { ftpError } from './failure.js';
import { lookAt, makeDirectory, removeName, renameOver } from './names.js';
import { doTask, type Place } from './task.js';
import { sendFile } from './upload.js';

/** A connection that takes longer to be made is not worth waiting for, however patient `timeout` is. */
const longestConnect = 20_000;

/** A connection that was idle must show a sign of life within this time. */
const longestProbe = 5000;

interface Shared {
  readonly place: Place;
  users: number;
}

/**
 * Opens the transport for `ftp:` and `ftps:`. A session is a number of control connections to one account; sessions of
 * the same account share them. Connections are made when something is to be done, not when a session is opened.
 */
export function openFtp(limits: TransferLimits, logger: Logger, addresses = systemAddresses): Transport {
  const shared = new Map<string, Shared>();
  const join = (account: Account): Shared => {
    const known = shared.get(account.key);
    if (known !== undefined) return known;
    const made = { place: openPlace(account, limits, { logger, addresses }), users: 0 };
    shared.set(account.key, made);
    return made;
  };
  return {
    open: async (site) => {
      const account = accountOf(site, limits);
      const one = join(account);
      one.users += 1;
      let isOpen = true;
      return {
        ...sessionOf(one.place),
        close: async () => {
          if (!isOpen) return;
          isOpen = false;
          one.users -= 1;
          if (one.users > 0) return;
          shared.delete(account.key);
          one.place.clients.close();
        },
      };
    },
    close: async () => {
      for (const { place } of shared.values()) place.clients.close();
      shared.clear();
    },
  };
}

interface Surroundings {
  readonly logger: Logger;
  readonly addresses: Addresses;
}

function openPlace(account: Account, limits: TransferLimits, { logger, addresses }: Surroundings): Place {
  const told = new Set<string>();
  const { timeout } = limits;
  const within = timeout === 0 ? 0 : Math.min(timeout, longestConnect);
  const open = async (stop: AbortSignal): Promise<Dialogue> => {
    const guard = watch(stop, within, () => account.shown, 'connecting to');
    try {
      const address =
        limits.publicOnly === true ? await guard.wait(publicAddress(account, addresses)) : account.host;
      return await openDialogue(account, address, guard);
    } catch (error) {
      throw guard.cut() ?? ftpError(error, `connect to ${account.shown}`, account);
    } finally {
      guard.end();
    }
  };
  const probe = async (dialogue: Dialogue, stop: AbortSignal): Promise<void> => {
    const guard = watch(stop, longestProbe, () => account.shown, 'asking');
    try {
      await guard.wait(dialogue.ask('NOOP'));
      if (!dialogue.isFree()) throw new Error('the connection is gone');
    } finally {
      guard.end();
    }
  };
  return {
    account,
    clients: openClients({ account, most: limits.connections, logger, open, probe }),
    timeout,
    warnOnce: (message) => {
      if (told.has(message)) return;
      told.add(message);
      logger.warning(message, { site: account.shown });
    },
  };
}

/** The first address of a server that is a public one. Throws PermanentError when there is none. */
async function publicAddress({ host }: Account, addresses: Addresses): Promise<string> {
  if (isIP(host) !== 0) {
    if (!addresses.isPublic(host)) throw notAllowed(host, host);
    return host;
  }
  return new Promise((resolve, reject) => {
    publicLookup(addresses, notAllowed)(host, {}, (error, found) => {
      if (error !== null) reject(error);
      else resolve(found as string);
    });
  });
}

const sessionOf = (place: Place): Omit<Session, 'close'> => ({
  get: (path, stop, range) => fetchFile(place, path, stop, range),
  put: (upload, stop) => sendFile(place, upload, stop),
  makeDirectory: (path, mode, stop) =>
    doTask(place, 'make', [path], stop, (task) => makeDirectory(task, path, mode, place)),
  rename: (from, to, stop) => doTask(place, 'rename', [from, to], stop, (task) => renameOver(task, from, to)),
  remove: (path, stop) => doTask(place, 'remove', [path], stop, (task) => removeName(task, path)),
  look: (path, stop) => doTask(place, 'look at', [path], stop, (task) => lookAt(task, path)),
});
