import { lstat, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { hashOf } from '../engine/engine.js';

/** What fits in the address of a socket on every system we know (104 bytes with the final zero on some). */
const longestSocket = 103;

async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

/** Beside the state when the path is short enough, else in a private directory with a short name. */
export async function socketPath(directory: string): Promise<string> {
  const near = join(directory, 'owner.sock');
  if (Buffer.byteLength(near) <= longestSocket) return near;
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? '';
  const parent = isAbsolute(runtime) ? runtime : tmpdir();
  const named = join(parent, `sarracenia-${hashOf(directory).toString('hex')}`);
  await mkdir(named, { mode: 0o700 }).catch(() => undefined);
  // Somebody else may have made it first, in a directory where everybody writes: then take a name nobody foresaw.
  const private_ = (await isOurs(named)) ? named : await mkdtemp(join(parent, 'sarracenia-'));
  return join(private_, 'owner.sock');
}
