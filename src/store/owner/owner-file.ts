import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecord } from '../engine/json-record.js';

/** Who owns a state directory, and where it answers. */
export interface OwnerInfo {
  readonly pid: number;
  /** Tells this process from a later one with the same id; undefined where the system does not say. */
  readonly started: string | undefined;
  /** Whoever connects must show it: only who may read the directory knows it. */
  readonly token: string;
  /** Path of the socket. */
  readonly socket: string;
  /** It does other work besides: whoever wants an end of this asks for it, and sends it no signal. */
  readonly shared?: boolean;
}

const fileOf = (directory: string): string => join(directory, 'owner.json');

/** When a process started, in the kernel's ticks; undefined when there is none such, or no /proc. */
export async function processStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in parentheses, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isDead = fields[0] === 'Z' || fields[0] === 'X';
    return isDead ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function decode(text: string): OwnerInfo | undefined {
  const read = readRecord(text);
  if (read === undefined) return undefined;
  const { pid, started, token, socket, shared } = read;
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid <= 0) return undefined;
  if (typeof token !== 'string' || typeof socket !== 'string') return undefined;
  return {
    pid,
    started: typeof started === 'string' ? started : undefined,
    token,
    socket,
    ...(shared === true && { shared }),
  };
}

/** Whether this very process still lives: its id alone may have been given to another one. */
export const isAlive = async ({ pid, started }: Pick<OwnerInfo, 'pid' | 'started'>): Promise<boolean> =>
  exists(pid) && (started === undefined || (await processStart(pid)) === started);

/** The living owner of a state directory; undefined when there is none, or none yet. */
export async function findOwner(directory: string): Promise<OwnerInfo | undefined> {
  const text = await readFile(fileOf(directory), 'utf8').catch(() => '');
  const info = decode(text);
  return info !== undefined && (await isAlive(info)) ? info : undefined;
}

/** Whether an owner went away without saying so: it was killed, or has crashed. */
export async function wasLeft(directory: string): Promise<boolean> {
  const text = await readFile(fileOf(directory), 'utf8').catch(() => '');
  const info = decode(text);
  return info !== undefined && !(await isAlive(info));
}

/** Makes ourselves known. Only who holds the store open may do so, hence nobody does it at the same time. */
export async function publishOwner(
  directory: string,
  socket: string,
  token: string,
  shared = false,
): Promise<void> {
  const info: OwnerInfo = {
    pid: process.pid,
    started: await processStart(process.pid),
    token,
    socket,
    ...(shared && { shared }),
  };
  const written = join(directory, `owner.${randomBytes(4).toString('hex')}.tmp`);
  await writeFile(written, JSON.stringify(info), { mode: 0o600, flag: 'wx' });
  await rename(written, fileOf(directory));
}

export const withdrawOwner = async (directory: string): Promise<void> =>
  rm(fileOf(directory), { force: true });
