import { resolve } from 'node:path';
import type { Config } from '../config/config.js';
import type { OptionName } from '../config/options/index.js';
import type { Placed, Taken } from '../flow/item.js';
import type { Line } from '../flow/line.js';
import { hook } from '../plugin/hook.js';
import { latest, stillOurs } from '../stage/fetch/latest.js';
import { type LocateOptions, locate } from '../stage/push/locate.js';
import { type PushOptions, push } from '../stage/push/push.js';
import type { Kit } from './component.js';
import { fetchOptions, inflightOf } from './consuming.js';
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

const pushOptions = (config: Config, kit: Kit): PushOptions => ({
  ...fetchOptions(config),
  destination: kit.destination(),
  allowLinks: config.transfer.allowLinks,
});

/** The way of an announced file to its final name on the server, and its trigger. */
export const sent = <I extends Placed>(line: Line<Taken, I>, config: Config, kit: Kit) =>
  line
    .to(locate(kit.treeAt, locateOptions(config, kit), kit.logger))
    .to(latest(kit.store.paths, inflightOf(config), true))
    .to(hook('on_part', kit.plugins))
    .to(stillOurs(kit.store.paths, kit.now))
    .to(push(kit.transports(), kit.treeAt, pushOptions(config, kit)))
    .to(hook('on_file', kit.plugins));
