import type { Host } from '../../process/places/host.js';
import type { Terminal } from '../action.js';

/** One command of the operator, as it was given. */
export interface PumpCall {
  /** Words that follow the command. */
  readonly names: readonly string[];
  /** Values of the flags that were given; of one without value, the empty text. */
  readonly flags: ReadonlyMap<PumpFlag, string>;
  readonly json: boolean;
  /** Change nothing, and show what would be changed. */
  readonly dryRun: boolean;
  readonly host: Host;
  readonly terminal: Terminal;
  /** Standard output is a terminal: what nobody else may see can be shown there. */
  readonly isTerminal: boolean;
}

/** Does it, and returns the exit code. Throws FatalError with the exit code otherwise. */
export type PumpRun = (call: PumpCall) => Promise<number>;

/** A row of the table of commands. */
export interface PumpAction {
  /** One word or two. */
  readonly name: string;
  /** What follows it. */
  readonly names: '' | 'NAME';
  readonly summary: string;
  readonly flags: readonly PumpFlag[];
  readonly load: () => Promise<PumpRun>;
}

export const pumpFlags = {
  json: { help: 'Answer in JSON.' },
  dry_run: { help: 'Show what would be changed, and change nothing.' },
  source: { help: 'The user posts, subscribes and reads the own records.' },
  subscriber: { help: 'The user subscribes and sends records; so it is unless another role is named.' },
  pump: { help: 'The user is a neighbouring pump: a subscriber that also hands on records.' },
  password_file: {
    value: 'file',
    help: 'Take the password from the first line of a file; - is standard input. A command line is no place for one.',
  },
  prompt: { help: 'Ask for the password at the terminal.' },
  broker: {
    value: 'url',
    help: 'Of init: the broker, amqp://localhost/ unless given. Of link: the other pump, with our account there.',
  },
  as: { value: 'user', help: 'The administrator that the broker has already; guest unless given.' },
  admin: { value: 'user', help: 'Name of the administrator of the pump; admin unless given.' },
  feeder: { value: 'user', help: 'Name of the account of the pump itself; feeder unless given.' },
  cluster: { value: 'name', help: 'Name of the pump among pumps; the name of this host unless given.' },
  management: { value: 'url', help: 'Address of the management API, where it is not at its usual port.' },
  guest: { value: 'delete|disable', help: 'What to do with the account guest, which every new broker has.' },
  directory: { value: 'path', help: 'Where the files of the other pump go; below it is what is served.' },
  url: { value: 'url', help: 'Under which URL this pump serves that directory.' },
  exchange: { value: 'name', help: 'Exchange of the other pump to read; xpublic unless given.' },
  records_for: {
    value: 'cluster,...',
    help: 'Further pumps whose records go this way, besides the other pump itself.',
  },
  force: { help: 'Also remove queues that hold messages, or replace a file that says something else.' },
} as const satisfies Record<string, { readonly value?: string; readonly help: string }>;

export type PumpFlag = keyof typeof pumpFlags;
