import { resolve } from 'node:path';
import { FatalError } from '../errors.js';

export interface Wish {
  /** The newcomer's own tree; a sample is made when there is none. */
  readonly directory: string | undefined;
  /** Where everything is kept, and left; a temporary directory when not given. */
  readonly data: string | undefined;
  /** Leave the pump up until it is interrupted. */
  readonly keep: boolean;
  readonly help: boolean;
}

export const usage = `usage: npm start -- [--keep] [--data FOLDER] [DIR]

Starts a small pump on this machine, delivers the files of DIR (a sample, if none is given) from alice to bob,
and shows alice the records of it. Everything is stopped at the end.

  --keep         leave the pump up, and show what to try next
  --data FOLDER  keep broker, configurations and copies in FOLDER (new or empty, or used so before)
`;

/** Reads the words of the command line; relative paths are meant from `here`. Throws FatalError (2) for others. */
export function readArguments(words: readonly string[], here: string): Wish {
  let [directory, data]: (string | undefined)[] = [];
  let [keep, help] = [false, false];
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--keep') keep = true;
    else if (word === '--help' || word === '-h') help = true;
    else if (word === '--data' || word.startsWith('--data=')) {
      const value = word === '--data' ? rest.shift() : word.slice('--data='.length);
      if (value === undefined || value === '')
        throw new FatalError(`--data needs a folder.\n\n${usage}`, { exitCode: 2 });
      data = resolve(here, value);
    } else if (word.startsWith('-') || directory !== undefined)
      throw new FatalError(`Cannot make sense of ${word}.\n\n${usage}`, { exitCode: 2 });
    else directory = resolve(here, word);
  }
  return { directory, data, keep, help };
}
