/** A poster that gets through its work although processes are killed all the time. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Home, Running } from '../servers/programs.js';

export interface Poster {
  /** Of the process that is at work. */
  readonly pid: () => number | undefined;
  readonly done: Promise<void>;
}

/** `sr_post`, started again whenever it is killed, until it says that everything is posted. */
export function keepPosting(home: Home, words: readonly string[]): Poster {
  let current: Running | undefined;
  const work = async (): Promise<void> => {
    for (;;) {
      current = home.start('sr_post', words);
      const ended = await current.ended;
      if (ended.code === 0) break;
      if (ended.signal !== 'SIGKILL') throw new Error(`sr_post ended with ${ended.code}: ${ended.stderr}`);
    }
    current = undefined;
  };
  return { pid: () => current?.pid, done: work() };
}

/** Calls `kill` every so many milliseconds while the poster works, and until all is `taken`; what it answered. */
export async function killMeanwhile(
  poster: Poster,
  every: number,
  taken: () => boolean,
  kill: (poster: number | undefined) => Promise<string>,
): Promise<readonly string[]> {
  let isPosted = false;
  const posted = poster.done.then(() => (isPosted = true));
  const killed: string[] = [];
  while (!isPosted || !taken()) {
    await Promise.race([pause(every), ...(isPosted ? [] : [posted])]);
    killed.push(await kill(poster.pid()));
  }
  await posted;
  return killed;
}
