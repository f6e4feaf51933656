import type { Watch } from '../watch.js';
import { watch } from '../watch.js';
import type { Clients, Lease } from './clients.js';
import type { Dialogue } from './dialogue.js';
import { ftpError, replyError } from './failure.js';
import { commandPath, shownFile } from './path.js';
import { isDone, type Reply } from './reply.js';
import type { Account } from './account.js';

/** Where all operations of a session happen. */
export interface Place {
  readonly account: Account;
  readonly clients: Clients;
  /** Milliseconds of silence that are borne; 0 for any. */
  readonly timeout: number;
  /** Something about the server that everybody should know, told once. */
  readonly warnOnce: (message: string) => void;
}

/** One operation on one file, on a control connection of its own. */
export interface Task {
  readonly dialogue: Dialogue;
  readonly guard: Watch;
  /** What is tried, for messages: `fetch ftp://host/file`. */
  readonly tried: string;
  /** Sends a command and waits for its reply, whatever that says. */
  readonly ask: (command: string) => Promise<Reply>;
  /** The same; a reply that is not a yes is thrown. */
  readonly must: (command: string) => Promise<Reply>;
  /** The connection is free again, or closed when it is in the middle of something. Never throws. */
  readonly end: () => void;
  /** The house's error for whatever was thrown; ends the task. */
  readonly failed: (thrown: unknown) => Error;
}

const verbs: Readonly<Record<string, string>> = {
  fetch: 'fetching',
  send: 'sending',
  make: 'making',
  rename: 'renaming',
  remove: 'removing',
  'look at': 'looking at',
};

/** Begins an operation: waits for a connection. When the operation is cut, its connection is closed. */
export async function beginTask(
  { account, clients, timeout }: Place,
  verb: keyof typeof verbs,
  path: string,
  stop: AbortSignal,
): Promise<Task> {
  const file = shownFile(account, path);
  const tried = `${verb} ${file}`;
  const lease: Lease = await clients.take(stop);
  const { dialogue } = lease;
  const guard = watch(stop, timeout, () => file, verbs[verb]);
  guard.onCut(dialogue.close);
  const end = (): void => {
    guard.end();
    lease.release();
  };
  const ask = (command: string): Promise<Reply> => guard.wait(dialogue.ask(command));
  return {
    dialogue,
    guard,
    tried,
    ask,
    must: async (command) => {
      const reply = await ask(command);
      if (isDone(reply)) return reply;
      throw replyError(reply, tried, command.split(' ')[0] ?? '', account);
    },
    end,
    failed: (thrown) => {
      const error = guard.cut() ?? ftpError(thrown, tried, account);
      end();
      return error;
    },
  };
}

/** A whole operation on one name, or on several. */
export async function doTask<T>(
  place: Place,
  verb: keyof typeof verbs,
  names: readonly [string, ...string[]],
  stop: AbortSignal,
  work: (task: Task) => Promise<T>,
): Promise<T> {
  names.forEach(commandPath);
  const task = await beginTask(place, verb, names[0], stop);
  try {
    const result = await work(task);
    task.end();
    return result;
  } catch (error) {
    throw task.failed(error);
  }
}
