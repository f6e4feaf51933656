import { randomInt } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { FatalError, messageOf, systemCode } from '../../errors.js';

/** How a queue is named, and the files in which earlier runs or earlier implementations kept its name. */
export interface QueueNaming {
  readonly wanted:
    | { readonly kind: 'fixed'; readonly name: string }
    | { readonly kind: 'generated'; readonly prefix: string };
  /** Where the name is kept, in the form that the existing implementations read and write. */
  readonly file: string;
  /** Older places, taken over once. */
  readonly older: readonly string[];
}

export interface NamedQueue {
  readonly name: string;
  /** Something an operator should know, e.g. that a kept name wins over the configured one. */
  readonly remark?: string;
}

const eightDigits = (): string => String(randomInt(100_000_000)).padStart(8, '0');

function keptName(file: string): string | undefined {
  try {
    const name = readFileSync(file, 'utf8').trim();
    return name === '' ? undefined : name;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new FatalError(`cannot read the queue name kept in ${file}: make it readable or remove it`, {
      cause,
    });
  }
}

/** The name of the queue as far as it has one: nothing is made up, nothing is written. */
export function knownQueueName({ wanted, file, older }: QueueNaming): string | undefined {
  const known = [file, ...older].map(keptName).find((name) => name !== undefined);
  return known ?? (wanted.kind === 'fixed' ? wanted.name : undefined);
}

/** The name of the queue: the one kept in the state, else a new one, which is kept from now on. */
export function nameQueue({ wanted, file, older }: QueueNaming): NamedQueue {
  const kept = keptName(file);
  if (kept !== undefined) {
    if (wanted.kind === 'generated' || wanted.name === kept) return { name: kept };
    const remark = `the queue ${kept} of earlier runs is used, not ${wanted.name}; run cleanup to change it`;
    return { name: kept, remark };
  }
  const inherited = older.map(keptName).find((name) => name !== undefined);
  const name = keep(
    file,
    inherited ??
      (wanted.kind === 'fixed' ? wanted.name : `${wanted.prefix}.${eightDigits()}.${eightDigits()}`),
  );
  return inherited === undefined
    ? { name }
    : { name, remark: `the queue ${name} of an earlier version is taken over` };
}

/**
 * Keeps the name, and returns the one that is kept: several instances start at once, the first of them names the
 * queue for all. A queue that only one of them knew would fill up unread after the next start; so would one whose
 * name went with the power, and therefore it is on the disk before the queue is made.
 */
function keep(file: string, name: string): string {
  const draft = `${file}.${process.pid}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(draft, name, { mode: 0o600, flush: true });
    const kept = (isTaken(draft, file) ? keptName(file) : undefined) ?? replaced(draft, file, name);
    flushDirectory(dirname(file));
    return kept;
  } catch (cause) {
    throw new FatalError(
      `cannot keep the queue name in ${file}: ${messageOf(cause)}; see to its directory and the free space`,
      { cause },
    );
  } finally {
    rmSync(draft, { force: true });
  }
}

function flushDirectory(directory: string): void {
  // Elsewhere a directory cannot be opened.
  if (process.platform === 'win32') return;
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Gives the draft its final name, unless somebody was faster. */
function isTaken(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return false;
  } catch (error) {
    // Where there are no hard links, the last one wins.
    return systemCode(error) === 'EEXIST';
  }
}

function replaced(draft: string, file: string, name: string): string {
  renameSync(draft, file);
  return name;
}
