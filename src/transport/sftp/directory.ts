import { RetryableError } from '../../errors.js';
import type { RemoteEntry } from '../transport.js';
import { type Channel, status, statusOf } from './channel.js';
import { directoryOf } from './remote-path.js';
import { moveOver } from './upload.js';

/** What is done to names on a server, besides bytes. */

/** A directory and those above it. One that is there keeps its mode. */
export async function makeDirectories(
  channel: Channel,
  path: string,
  mode: number | undefined,
): Promise<void> {
  const parent = directoryOf(path);
  for (let isSecond = false; ; isSecond = true) {
    try {
      await channel.makeDirectory(path, mode);
    } catch (error) {
      const code = statusOf(error);
      if (code === undefined) throw error;
      if (code === status.noSuchFile && parent !== undefined && !isSecond) {
        await makeDirectories(channel, parent, mode);
        continue;
      }
      if (await isDirectory(channel, path)) return;
      throw error;
    }
    // The server's umask has taken from what was asked for.
    if (mode !== undefined) await channel.setAttributesOf(path, { mode });
    return;
  }
}

async function isDirectory(channel: Channel, path: string): Promise<boolean> {
  try {
    return (await channel.stat(path)).isDirectory();
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    return false;
  }
}

/** A file, a link or an empty directory; nothing there is as good. */
export async function removeName(channel: Channel, path: string): Promise<void> {
  try {
    await channel.unlink(path);
  } catch (error) {
    const code = statusOf(error);
    if (code === status.noSuchFile) return;
    if (code === undefined) throw error;
    const found = await lookAt(channel, path);
    if (found === undefined) return;
    if (found.kind !== 'directory') throw error;
    await channel.removeDirectory(path);
  }
}

/** Servers refuse to make a link where something stands: then it is made beside, and moved over. */
export async function makeLink(channel: Channel, path: string, to: string): Promise<void> {
  try {
    await channel.symlink(to, path);
  } catch (error) {
    const code = statusOf(error);
    if (code !== status.failure && code !== status.fileExists) throw error;
    const found = await lookAt(channel, path);
    if (found === undefined) throw error;
    if (found.kind === 'directory') throw new RetryableError(`a directory is in the way of the link ${path}`);
    const aside = asideOf(path);
    await removeName(channel, aside);
    await channel.symlink(to, aside);
    try {
      await moveOver(channel, aside, path);
    } catch (thrown) {
      await removeName(channel, aside);
      throw thrown;
    }
  }
}

function asideOf(path: string): string {
  const end = path.lastIndexOf('/') + 1;
  return `${path.slice(0, end)}.${path.slice(end)}.link`;
}

const kinds: ReadonlyMap<number, RemoteEntry['kind']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'link'],
]);

/** Undefined when nothing is there. */
export async function lookAt(channel: Channel, path: string): Promise<RemoteEntry | undefined> {
  try {
    const { mode, size, mtime } = await channel.lstat(path);
    return {
      kind: kinds.get(mode & 0o170000) ?? 'other',
      size,
      mode: mode & 0o7777,
      modified: new Date(mtime * 1000),
    };
  } catch (error) {
    if (statusOf(error) === status.noSuchFile) return undefined;
    throw error;
  }
}
