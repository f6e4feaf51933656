import { isAbsolute } from 'node:path';
import type { Config } from '../config/config.js';
import { parseLogin } from '../config/login.js';
import { sourceOfExchange } from '../config/source-of-exchange.js';
import { FatalError } from '../errors.js';
import type { Root } from '../file/inside.js';
import { type Vouch, vouchByExchange } from '../intake/identity.js';
import { openBelow, takeFrom } from '../stage/door/confined.js';
import type { Round } from '../stage/choose/round.js';
import type { RouteOptions } from '../stage/door/route.js';
import { ANY_HOST, type VetOptions, isNamed } from '../stage/door/vet.js';
import type { Transports } from '../transport/transport.js';
import type { Kit, Reach } from './component.js';
import { writtenAt } from './refuse.js';

/* What a pump does about announcements that are not its own: whom it believes, what it is there for, what it fetches. */

/** Milliseconds for which an announcement that has been passed on is known: as long as a queue waits for its reader. */
const ROUND = 4 * 86_400_000;

/** The name of this pump. */
const ownName = ({ selection }: Config, kit: Kit): string => selection.cluster ?? kit.postName;

/** Whether an exchange of a user is read: what comes from there says what it likes. */
const readsExchangeOfUser = ({ bindings }: Config): boolean =>
  bindings.some(({ exchange }) => exchange.startsWith('xs_'));

/** Host, port and virtual host of a broker; this machine has many names. */
function placeOf(url: string | undefined, own: string): string {
  const { host = '', port = 0, vhost = '/' } = (url === undefined ? undefined : parseLogin(url)) ?? {};
  const here = ['localhost', '127.0.0.1', '::1', own.toLowerCase(), own.toLowerCase().split('.')[0]];
  // Both ports of one broker, with and without TLS.
  const door = [0, 5671, 5672].includes(port) ? '' : String(port);
  return `${here.includes(host) ? '' : host}:${door}/${vhost}`;
}

/** Whether what is read comes from another pump than the one that is posted to. */
function readsPump(config: Config, { host }: Kit): boolean {
  if (config.selection.sourceFromExchange) return false;
  return placeOf(config.queue.broker[0], host) !== placeOf(config.posting.postBroker[0], host);
}

/** Who the source is, where the exchange says it. */
export function vouchOf(config: Config, kit: Kit): Vouch | undefined {
  if (!config.selection.sourceFromExchange) {
    if (readsExchangeOfUser(config))
      kit.logger.warning(
        'an exchange of a user is read, and what its messages say of source and from_cluster is believed; ' +
          "write 'source_from_exchange on'",
      );
    return undefined;
  }
  const { sources } = config.declared;
  const known = new Map<string, string | undefined>();
  const sourceOf = (exchange: string): string | undefined => {
    if (known.has(exchange)) return known.get(exchange);
    const source = sourceOfExchange(exchange, sources);
    // Messages of a retry list may name any exchange.
    if (known.size < 1000) known.set(exchange, source);
    return source;
  };
  for (const { exchange } of config.bindings) {
    if (sourceOf(exchange) === undefined)
      kit.logger.warning(
        `exchange ${exchange} belongs to no declared source, what comes from there is refused; ` +
          "write 'declare source NAME' in admin.conf",
      );
  }
  return vouchByExchange({ sourceOf, cluster: ownName(config, kit) });
}

/** Only the feeder writes there, and only what this pump has fetched itself. */
const PUBLISHED = /^xpublic(?:\d\d)?$/u;

/**
 * Whether users chose what is read. They write to their own exchanges; what has come through a filter for duplicates
 * was chosen by them as well, and so was what is on any other exchange of a pump that has users, whoever brought it
 * there: nothing says what that one looked at. For what comes from another pump, that pump answers.
 */
function readsUsers(config: Config, kit: Kit): boolean {
  const { sources, subscribers, pumps } = config.declared;
  const hasUsers = sources.length + subscribers.length + pumps.length > 0;
  const isOwn = hasUsers && !readsPump(config, kit);
  return (
    config.selection.sourceFromExchange ||
    config.bindings.some(
      ({ exchange }) => /^x(?:s_|winnow)/u.test(exchange) || (isOwn && !PUBLISHED.test(exchange)),
    )
  );
}

/** Whom the data is for. Asked only where the pumps of the network are named. */
export function routeOptions(config: Config, kit: Kit): RouteOptions {
  const { clusterAliases, gatewayFor, loopCheck } = config.selection;
  const own = [ownName(config, kit), ...clusterAliases];
  const routes = clusterAliases.length > 0 || gatewayFor.length > 0;
  return {
    accepted: routes ? new Set([...own, ...gatewayFor]) : undefined,
    required: writtenAt(config, 'to') === undefined,
    own: new Set(loopCheck && readsPump(config, kit) ? own : []),
  };
}

export function vetOptions({ transfer, bindings, declared }: Config): VetOptions {
  const { dropDir, sourceHosts, blockSizeMin, blockSizeMax } = transfer;
  if (dropDir !== undefined && !isAbsolute(dropDir))
    throw new FatalError(`drop_dir ${dropDir}: write an absolute path`, { exitCode: 2 });
  const owners = new Set(bindings.map(({ exchange }) => sourceOfExchange(exchange, declared.sources)));
  if (dropDir !== undefined && owners.size > 1)
    throw new FatalError(
      `drop_dir ${dropDir}: several sources are read, and each could have the files of the others announced. ` +
        'Write a configuration for each source',
      { exitCode: 2 },
    );
  return { dropDir, hosts: sourceHosts, blockSizeMin, blockSizeMax };
}

/** Whether this is where announcements of users enter the pump: what goes on from here is looked at here. */
export const isEntrance = (config: Config): boolean =>
  config.selection.sourceFromExchange || readsExchangeOfUser(config);

/** What ends the way of an announcement between pumps that read each other. */
export function roundOf(config: Config, kit: Kit): Round | undefined {
  if (!readsPump(config, kit)) return undefined;
  const blind = config.selection.notifyOnly || config.transfer.overwrite;
  return { ttl: ROUND, what: blind ? 'all' : 'bare' };
}

/**
 * Users have the pump ask public servers, or those that are named, and read what they have dropped. Its accounts are
 * used only where somebody has written that this very host, or this domain, is for users.
 */
export function transportsFor(config: Config, kit: Kit): Transports {
  const { sourceHosts } = config.transfer;
  const ofUsers = readsUsers(config, kit);
  const hosts = sourceHosts.map((host) => host.toLowerCase()).filter((host) => host !== ANY_HOST);
  return kit.transports({
    publicOnly: ofUsers && sourceHosts.length === 0,
    trusts: ofUsers ? (baseUrl) => isNamed(baseUrl, hosts) : undefined,
    ...droppedFiles(config, kit),
  });
}

/** Files of this machine, where one directory is named that they may be in. */
export function droppedFiles({ transfer }: Config, kit: Kit): Pick<Reach, 'openFile' | 'takeAway'> {
  const { dropDir } = transfer;
  if (dropDir === undefined) return {};
  if (!isAbsolute(dropDir))
    throw new FatalError(`drop_dir ${dropDir}: write an absolute path`, { exitCode: 2 });
  const root = rootAt(dropDir, kit);
  return {
    openFile: openBelow(dropDir, root),
    ...(transfer.delete && { takeAway: takeFrom(dropDir, root) }),
  };
}

const rootAt = (directory: string, kit: Kit): Root =>
  kit.rootOf({ root: directory, directory: '', name: '', path: directory });
