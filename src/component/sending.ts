import { resolve } from 'node:path';
import type { Config } from '../config/config.js';
import type { OptionName } from '../config/options/index.js';
import type { Placed, Taken } from '../flow/item.js';
import type { Line } from '../flow/line.js';
import { hook } from '../plugin/hook.js';
import { latest, stillOurs } from '../stage/fetch/latest.js';
import { type GatherIn, join } from '../stage/install/join.js';
import { type LocateOptions, localFileOf, locate } from '../stage/push/locate.js';
import { type PushOptions, push } from '../stage/push/push.js';
import { namesOf } from '../stage/push/remote-names.js';
import { wholeSent } from '../stage/push/whole-sent.js';
import type { Kit } from './component.js';
import { fetchOptions, inflightOf, sendsWhole } from './consuming.js';
import { inlineRefused, spoolRefused, vipRefused } from './reasons.js';

/* What a program that sends has between its choice and its end. */

/** What cannot be done yet. */
export const notSent: Readonly<Partial<Record<OptionName, string>>> = {
  ...vipRefused,
  ...inlineRefused,
  ...spoolRefused,
  on_data: 'changing data on its way is not available',
  do_send: 'replacing the upload is not available yet',
  do_task: 'replacing the transfer is not available yet',
};

/** What changes nothing. */
export const inertInSending: Readonly<Partial<Record<OptionName, string>>> = {
  bufsize: 'buffers have a size that suits all files',
  queue_suffix: 'the queue has a fixed name',
};

const locateOptions = ({ transfer }: Config, { user }: Kit): LocateOptions => ({
  baseDir: transfer.baseDir === undefined ? undefined : resolve(transfer.baseDir),
  ownExchange: `xs_${user}`,
});

function pushOptions(config: Config, kit: Kit): PushOptions {
  const locating = locateOptions(config, kit);
  return {
    ...fetchOptions(config),
    destination: kit.destination(),
    allowLinks: config.transfer.allowLinks,
    sendsWhole: sendsWhole(config),
    localOf: (item, subject) => localFileOf({ ...item, subject }, locating) ?? item.local,
  };
}

/** Blocks gather under the name that the file has until it has its own. Nothing of it is on this machine. */
const gatheredIn =
  (inflight: string | undefined): GatherIn =>
  ({ path }, _generation, storage) => ({
    file:
      storage === 'inplace'
        ? path
        : (namesOf(path, inflight === 'umask' ? undefined : inflight).inflight ?? path),
    leftover: '',
  });

/** The way of an announced file to its final name on the server, and its trigger. */
export const sent = <I extends Placed>(line: Line<Taken, I>, config: Config, kit: Kit) =>
  line
    // Before the file is looked for: what is older than another announcement of its path need not be here any more.
    .to(latest(kit.store.paths, inflightOf(config), (path) => namesOf(path, inflightOf(config)).inflight))
    .to(locate(kit.treeAt, locateOptions(config, kit), kit.logger))
    .to(
      join(kit.store.assemblies, undefined, { gatherIn: gatheredIn(inflightOf(config)), done: 'Delivered' }),
    )
    .to(hook('on_part', kit.plugins))
    .to(stillOurs(kit.store.paths, kit.now))
    .to(push(kit.transports(), kit.treeAt, kit.store.assemblies, pushOptions(config, kit)))
    .to(hook('on_file', kit.plugins))
    .to(wholeSent);
