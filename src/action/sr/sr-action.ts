import type { ComponentFacts } from '../../config/components.js';
import type { Host } from '../../process/places/host.js';
import type { Call, Terminal } from '../action.js';
import { noRetryWords } from '../retry-words.js';

/** One command for many configurations, as it was given. */
export interface SrCall {
  /** `COMPONENT/CONFIGURATION`, each with wildcards; none for all. */
  readonly patterns: readonly string[];
  /** Answer in JSON. */
  readonly json: boolean;
  /** Draw the status again and again. */
  readonly watch: boolean;
  /** Change nothing, and say what would be done. */
  readonly dryRun: boolean;
  /** How many configurations it may destroy. */
  readonly confirmed: number | undefined;
  readonly host: Host;
  readonly terminal: Terminal;
  /** Compiled files that run processes of the group, and supervisors. */
  readonly files: { readonly group: string; readonly daemon: string };
}

/** Does it, and returns the exit code. Throws FatalError with the exit code otherwise. */
export type SrRun = (call: SrCall) => Promise<number>;

/** A row of the table of actions of `sr`. */
export interface SrAction {
  readonly name: string;
  /** One line for help and manual page. */
  readonly summary: string;
  readonly exits: Readonly<Record<number, string>>;
  /** Flags that it knows besides `--help`. */
  readonly flags: readonly SrFlag[];
  /** Code is loaded when it is run. */
  readonly load: () => Promise<SrRun>;
}

export type SrFlag = 'json' | 'watch' | 'dry_run' | 'dangerWillRobinson';

/** What the words with dashes mean. */
export const srFlags: Readonly<Record<SrFlag, { readonly value?: string; readonly help: string }>> = {
  json: { help: 'Answer in JSON.' },
  watch: { help: 'Draw the status again every two seconds, until interrupted.' },
  dry_run: { help: 'Change nothing, and say what would be done.' },
  dangerWillRobinson: {
    value: 'number',
    help: 'The number of configurations to be cleaned up, to show that all of them are meant.',
  },
};

/** The same for one configuration of one component. */
export const callFor = (
  { host, terminal, json, dryRun }: SrCall,
  facts: ComponentFacts,
  configuration: string,
): Call => ({
  program: facts.program,
  facts,
  json,
  force: false,
  host,
  terminal,
  retry: noRetryWords,
  given: {
    action: undefined,
    configuration,
    options: dryRun ? [{ keyword: 'dry_run', words: ['on'], origin: { file: 'command line', line: 0 } }] : [],
    paths: [],
    rest: [],
    help: false,
    version: false,
    warnings: [],
  },
});
