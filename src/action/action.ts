import type { Arguments } from '../config/arguments.js';
import type { ComponentFacts } from '../config/components.js';
import type { ComponentName } from '../config/option.js';
import { findOption } from '../config/options/index.js';
import type { Host } from '../process/places/host.js';
import type { Order } from '../process/places/order.js';
import type { RetryWords } from './retry-words.js';

/** What people see of a run while it goes on. */
export interface Progress {
  readonly files: number;
  /** Blocks of files that come in several. */
  readonly blocks: number;
  readonly bytes: number;
  /** The file of which a block was the last to come, while others are missing. */
  readonly large: { readonly name: string; readonly placed: number; readonly count: number } | undefined;
  readonly failures: number;
  /** Messages left in the queue; undefined where there is none, or while it is not known. */
  readonly left: number | undefined;
}

/** Standard output and standard error, and what may be done with them. */
export interface Terminal {
  /** One line to standard output; resolves when it may be forgotten. Throws FatalError when nobody reads it. */
  readonly write: (line: string) => Promise<void>;
  /** Text to standard error. A line of progress makes way for it. */
  readonly note: (text: string) => void;
  /** Somebody is watching standard error. */
  readonly isWatched: boolean;
  /** Colours a line by its report code, where colours are wanted. */
  readonly colour: (code: number, text: string) => string;
  /** Draws a line of progress until it is ended; nothing where nobody is watching. */
  readonly progress: (look: () => Progress) => { readonly end: () => void };
}

/** One command as it was given. */
export interface Call {
  readonly program: string;
  readonly facts: ComponentFacts;
  readonly given: Arguments;
  /** Answer in JSON. */
  readonly json: boolean;
  /** Overwrite what is there. */
  readonly force: boolean;
  /** What only `retry` is told. */
  readonly retry: RetryWords;
  readonly host: Host;
  readonly terminal: Terminal;
}

/** Does it, and returns the exit code. Throws FatalError with the exit code otherwise. */
export type Run = (call: Call) => Promise<number>;

/** A row of the table of actions. */
export interface Action {
  readonly name: string;
  /** One line for help and manual pages. */
  readonly summary: string;
  /** What follows it on the command line. */
  readonly names:
    | 'configuration'
    | '[configuration]'
    | 'configuration...'
    | '[configuration...]'
    | 'file...'
    | 'old new'
    | 'list|requeue|drop|export configuration'
    | '';
  /** Programs that have it; undefined for all. */
  readonly components?: readonly ComponentName[];
  readonly exits: Readonly<Record<number, string>>;
  /** Code is loaded when it is run. */
  readonly load: () => Promise<Run>;
}

/** What is to be run: the configuration named, with the options of the command line. */
export const orderOf = (call: Call, configuration = call.given.configuration): Order => ({
  component: call.facts.name,
  program: call.program,
  configuration,
  options: call.given.options,
  paths: call.given.paths,
});

/** The command line asks to change nothing. */
export const isRehearsal = (call: Call): boolean =>
  call.given.options.some(
    ({ keyword, words }) =>
      findOption(keyword)?.name === 'dry_run' && !/^(off|no|false|0)$/i.test(words[0] ?? 'on'),
  );
