import { PermanentError, RetryableError } from '../../errors.js';
import type { Root } from '../../file/inside.js';
import { statInside } from '../../file/look.js';
import type { LocalFile, Located, Placed } from '../../flow/item.js';
import { dropped } from '../../flow/outcome.js';
import type { Stage } from '../../flow/stage.js';
import type { Logger } from '../../logger.js';
import { blockLength, fileSize } from '../../message/parts.js';
import { climbs, decodeRelPath, hasForbiddenCharacter } from '../../message/rel-path.js';
import { schemeOf } from '../../message/retrieval-url.js';
import { boundedLog } from '../door/bounded-log.js';
import { belowDirectory } from '../door/vet.js';
import { standingIn } from '../fetch/fetch-block.js';

export interface LocateOptions {
  /** Where announced files are on this machine (`base_dir`), absolute; undefined: only `file:` announcements name any. */
  readonly baseDir: string | undefined;
  /** What this user announces itself comes from exchanges that begin so. */
  readonly ownExchange: string;
}

/**
 * Finds the file of this machine that an announcement is about: its path below base_dir, whatever server the
 * announcement names. What names no file here is dropped. A file that is not there yet, or not as it was announced,
 * fails as any other transfer would.
 */
export function locate(
  treeAt: (directory: string) => Root,
  options: LocateOptions,
  logger: Logger,
): Stage<Placed, Gain> {
  const lines = boundedLog(logger, {
    level: 'warning',
    most: 20,
    what: 'announcements that name no file of this machine',
  });
  return {
    name: 'locate',
    stop: lines.flush,
    run: (item) => {
      const { subject } = item;
      const local = localFileOf(item, options);
      if (local === undefined) {
        lines.say(
          `not sent: ${subject.baseUrl} ${subject.relPath} is no file of this machine; base_dir says where such files are`,
        );
        return dropped('not a file of this machine: base_dir is not set');
      }
      if (subject.change.kind !== 'write') return { local };
      const tree = treeAt(local.directory);
      requireThere(item, local, tree);
      const { from } = subject.moved ?? {};
      const old = from === undefined ? undefined : localFileOf(item, options, from);
      const isCopy = old !== undefined && statInside(tree, old.relPath) !== undefined;
      return { local, isCopy, inflight: standingIn(local.path) };
    },
  };
}

type Gain = Pick<Located, 'local' | 'isCopy' | 'inflight'>;

/** The file that an announcement means here, or another path of its tree. Throws PermanentError for one that leaves the tree. */
export function localFileOf(
  { subject, exchange }: Pick<Placed, 'subject' | 'exchange'>,
  { baseDir, ownExchange }: LocateOptions,
  path = decodeRelPath(subject.relPath),
): LocalFile | undefined {
  if (climbs(path) || hasForbiddenCharacter(path))
    throw new PermanentError(
      417,
      `path ${JSON.stringify(path.slice(0, 300))} is refused: it is no path here`,
    );
  const below = path.replace(/^\/+/u, '');
  if (schemeOf(subject.baseUrl) !== 'file') return baseDir === undefined ? undefined : fileAt(baseDir, below);
  // Announced as a path of this machine, or as one of the tree.
  if (baseDir !== undefined) return fileAt(baseDir, belowDirectory(`/${below}`, baseDir) ?? below);
  if (isOfOthers(exchange, ownExchange))
    throw new PermanentError(
      403,
      `Forbidden: /${below}: other users name files of this machine here. Write base_dir, the directory that may be sent`,
    );
  return fileAt('/', below);
}

const fileAt = (directory: string, relPath: string): LocalFile => ({
  directory,
  relPath,
  path: `${directory === '/' ? '' : directory}/${relPath}`,
});

const isOfOthers = (exchange: string, own: string): boolean =>
  exchange.startsWith('xs_') && exchange !== own && !exchange.startsWith(`${own}_`);

function requireThere({ subject }: Placed, { relPath, path }: LocalFile, root: Root): void {
  const { change } = subject;
  const there = statInside(root, relPath);
  if (there === undefined) throw new RetryableError(`cannot send ${path}: not there, or not there yet`);
  if (!there.isFile()) throw new RetryableError(`cannot send ${path}: it is not a regular file`);
  if (change.kind !== 'write' || change.parts === undefined) return;
  const { parts } = change;
  const size = parts.method === 'i' ? fileSize(parts) : blockLength(parts);
  const isEnough = parts.method === 'i' ? there.size >= size : there.size === size;
  if (!isEnough)
    throw new RetryableError(`cannot send ${path}: it has ${there.size} bytes where ${size} were announced`);
}
