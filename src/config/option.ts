/**
 * One option is one row of a table. The parser, the command line, help, manual pages and completion are all
 * derived from it, so an option that has a row exists everywhere and one without a row exists nowhere.
 */

/** Every component of the suite; some are only parsed so far. */
export type ComponentName =
  | 'post'
  | 'watch'
  | 'subscribe'
  | 'sarra'
  | 'sender'
  | 'shovel'
  | 'winnow'
  | 'report'
  | '2xlog'
  | 'log2source'
  | 'log2clusters'
  | 'poll'
  | 'audit'
  | 'cpump'
  | 'cpost';

/** What a value may depend on besides its own words. */
export interface ParseContext {
  readonly component: ComponentName;
  /** `SR_DIALECT=2016`: bare expiry times are minutes. */
  readonly dialect2016: boolean;
  readonly cwd: string;
  readonly home: string;
  /** The feeder's URL read so far: an administrator given as a bare user lives on the same broker. */
  readonly feeder: string | undefined;
  /** Takes a password out of a URL into safe keeping. */
  readonly keepSecret: (url: string, password: string) => void;
}

export type Parsed<T> =
  | { readonly value: T; readonly warning?: string }
  /** Completes the sentence "expects ...". */
  | { readonly expects: string };

export interface ValueType<T> {
  /** As shown in help: `boolean`, `duration`. */
  readonly name: string;
  /** Words it takes on the command line. `optional` asks `takes` whether the next word is its value. */
  readonly words: 'one' | 'two' | 'all' | 'optional';
  readonly takes?: (word: string) => boolean;
  /** `words` may be empty: a bare keyword. Throws FatalError only for a pattern that does not compile. */
  readonly parse: (words: readonly string[], context: ParseContext) => Parsed<T>;
  /** Text that parses back to the value. */
  readonly show: (value: unknown) => string;
  /** The words may hold a password and must not be quoted in a message. */
  readonly confidential?: boolean;
}

export interface OptionRow<T> {
  readonly type: ValueType<T>;
  readonly default: T;
  readonly components: readonly ComponentName[];
  /** One line. */
  readonly help: string;
  /** `last` wins; `accumulate` appends; `state` is in force for the rules that follow it. */
  readonly repeat: 'last' | 'accumulate' | 'state';
  readonly aliases: readonly string[];
  /** Names of 2016 that still work, with a warning. */
  readonly oldSpellings: readonly string[];
  /** Never printed. */
  readonly secret: boolean;
  /** Accepted for old files; why it does nothing. */
  readonly ignored: string | undefined;
}

interface RowText<T> {
  readonly type: ValueType<T>;
  readonly default: NoInfer<T>;
  readonly components: readonly ComponentName[];
  readonly help: string;
  readonly repeat?: 'last' | 'accumulate' | 'state';
  readonly aliases?: readonly string[];
  readonly oldSpellings?: readonly string[];
  readonly secret?: boolean;
  readonly ignored?: string;
}

/** A row with the usual answers filled in. */
export const option = <T>(row: RowText<T>): OptionRow<T> => ({
  type: row.type,
  default: row.default,
  components: row.components,
  help: row.help,
  repeat: row.repeat ?? 'last',
  aliases: row.aliases ?? [],
  oldSpellings: row.oldSpellings ?? [],
  secret: row.secret ?? false,
  ignored: row.ignored,
});

export type OptionGroup = Readonly<Record<string, OptionRow<unknown>>>;

/** Keeps the exact type of every row of a group. */
export const group = <const G extends OptionGroup>(rows: G): G => rows;

export type Camel<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;

/** The typed fields of a group: `post_base_dir` becomes `postBaseDir`. */
export type Values<G extends OptionGroup> = {
  readonly [K in keyof G & string as Camel<K>]: G[K] extends OptionRow<infer T> ? T : never;
};

/** `post_base_dir` -> `postBaseDir`; the same rule as the type `Camel`. */
export const camelCase = (name: string): string =>
  name.replace(/_([a-zA-Z0-9])/g, (_all, letter: string) => letter.toUpperCase());

/* Columns "used by" of the table. */
/** Those that route delivery records. */
export const routers = ['2xlog', 'log2source', 'log2clusters'] as const satisfies readonly ComponentName[];
export const isRouter = (name: ComponentName): boolean => routers.some((one) => one === name);
export const everywhere: readonly ComponentName[] = [
  'post',
  'watch',
  'subscribe',
  'sarra',
  'sender',
  'shovel',
  'winnow',
  'report',
  'poll',
  'audit',
  'cpump',
  'cpost',
  ...routers,
];
export const consumers: readonly ComponentName[] = [
  'subscribe',
  'sarra',
  'sender',
  'shovel',
  'winnow',
  'report',
  'cpump',
  ...routers,
];
const ofRecords: ReadonlySet<ComponentName> = new Set(['report', ...routers]);
/** Consumers that do with messages what a configuration says. */
export const readers: readonly ComponentName[] = consumers.filter(
  (name) => name === 'report' || !ofRecords.has(name),
);
/** Consumers of announcements: those of delivery records are left out. */
export const receivers: readonly ComponentName[] = consumers.filter((name) => !ofRecords.has(name));
export const downloaders: readonly ComponentName[] = ['subscribe', 'sarra'];
/** Those that take in what users announce. */
export const collectors: readonly ComponentName[] = ['sarra', 'shovel', 'winnow'];
export const movers: readonly ComponentName[] = ['subscribe', 'sarra', 'sender'];
export const walkers: readonly ComponentName[] = ['post', 'watch', 'cpost'];
export const announcers: readonly ComponentName[] = [...walkers, 'poll'];
/** Everything that has to do with announcements, and with what they announce. */
export const carriers: readonly ComponentName[] = everywhere.filter((name) => !ofRecords.has(name));
/** Everything that may run on its own, with a log of its own: what posts and ends does not. */
export const daemons: readonly ComponentName[] = everywhere.filter((name) => name !== 'post');
/** Everything that posts. */
export const posters: readonly ComponentName[] = [
  ...announcers,
  'subscribe',
  'sarra',
  'sender',
  'shovel',
  'winnow',
  'cpump',
];
