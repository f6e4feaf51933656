import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FatalError, systemCode } from '../errors.js';

/** Where everything of one run lies. */
export interface WorkingFolder {
  readonly path: string;
  /** It goes with the run. */
  readonly temporary: boolean;
  /** Removes it if it is temporary, else leaves it for the next run. */
  readonly release: () => Promise<void>;
}

/** Names the run that uses the folder: only what has it is ever emptied. */
const markFile = '.sarracenia-quickstart';

/** Whether a process of this id lives; one that is not ours counts. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}

async function temporaryFolder(): Promise<WorkingFolder> {
  const path = await mkdtemp(join(tmpdir(), 'sarracenia-'));
  return { path, temporary: true, release: () => rm(path, { recursive: true, force: true }) };
}

/** Takes over what a run that is over left behind; false when there was nothing to take. */
async function takeOver(path: string, mark: string): Promise<boolean> {
  const names = await readdir(path);
  if (names.length === 0) return false;
  if (!names.includes(markFile))
    throw new FatalError(`${path} holds other things; give --data a new or an empty folder.`, {
      exitCode: 2,
    });
  const owner = Number(await readFile(mark, 'utf8'));
  if (Number.isInteger(owner) && owner > 0 && owner !== process.pid && isAlive(owner))
    throw new FatalError(
      `${path} is in use by process ${owner}; give --data another folder, or remove ${mark} if that is something else.`,
    );
  for (const name of names) await rm(join(path, name), { recursive: true, force: true });
  return true;
}

async function givenFolder(path: string): Promise<WorkingFolder> {
  const mark = join(path, markFile);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await takeOver(path, mark);
    // Of two that come at the same time one finds the file made.
    await writeFile(mark, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if (error instanceof FatalError) throw error;
    const why =
      systemCode(error) === 'EEXIST' ? 'another run has just taken it' : 'is it a folder you may write to?';
    throw new FatalError(`Cannot use ${path}: ${why}`, { cause: error });
  }
  return { path, temporary: false, release: () => writeFile(mark, '0') };
}

/**
 * A folder for one run: a fresh temporary one, or the given one (new, empty, or left by a run that is over, which is
 * emptied). Throws FatalError for a folder with anything else in it, or in use.
 */
export const openWorkingFolder = (given: string | undefined): Promise<WorkingFolder> =>
  given === undefined ? temporaryFolder() : givenFolder(given);
