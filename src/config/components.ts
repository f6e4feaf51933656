import type { ComponentName } from './option.js';
import type { OptionName } from './options/index.js';

/** What the configuration must know of a component; how it works stands in its recipe. */
export interface ComponentFacts {
  readonly name: ComponentName;
  /** `${PROGRAM}`, and part of queue names. */
  readonly program: string;
  /** Other programs that are this component. */
  readonly otherPrograms: readonly string[];
  readonly consumes: boolean;
  /** Posts of its own accord (`always`), when given a broker to post to (`optional`), or not at all. */
  readonly posts: 'always' | 'optional' | 'never';
  /** Positional words are paths and a configuration is optional. */
  readonly takesPaths: boolean;
  /** The queue name gets random digits and is kept. */
  readonly generatedQueue: boolean;
  /** Options it needs; whatever is empty after all defaults is an error. */
  readonly required: readonly OptionName[];
  /** Values in force before any file is read, as they would be written. `CWD` is the current directory. */
  readonly presets: Readonly<Partial<Record<OptionName, string>>>;
  /** Values no configuration can change. */
  readonly forced: Readonly<Partial<Record<OptionName, string>>>;
  /** Messages no rule matches, unless the configuration says: `no-rules` takes them only if there are no rules. */
  readonly acceptUnmatch: boolean | 'no-rules';
  /** Rules look at the path alone and need not match at its start. */
  readonly searchesPath: boolean;
  /** It needs neither a configuration of its own nor a broker on the command line. */
  readonly alone: boolean;
  /** Default plugins differ from the table. */
  readonly plugins: Readonly<Partial<Record<OptionName, readonly string[]>>>;
}

const base = {
  otherPrograms: [],
  consumes: true,
  posts: 'optional',
  takesPaths: false,
  generatedQueue: false,
  required: ['broker', 'exchange'],
  presets: {},
  forced: {},
  acceptUnmatch: true,
  searchesPath: false,
  alone: false,
  plugins: {},
} as const satisfies Partial<ComponentFacts>;

const walker = {
  ...base,
  consumes: false,
  posts: 'always',
  required: ['post_broker', 'post_exchange', 'post_base_url'],
  forced: { instances: '1' },
} as const satisfies Partial<ComponentFacts>;

/** They read records on the pump itself, and pass them on as they are. */
const router = {
  ...base,
  posts: 'always',
  required: ['broker'],
} as const satisfies Partial<ComponentFacts>;

/** Values before any file is read. An absent one is the default of the option's row. */
export const components: Readonly<Record<ComponentName, ComponentFacts>> = {
  post: { ...walker, name: 'post', program: 'sr_post', otherPrograms: ['sr_put'], takesPaths: true },
  cpost: {
    ...walker,
    name: 'cpost',
    program: 'sr_cpost',
    takesPaths: true,
    presets: { blocksize: '1' },
    searchesPath: true,
  },
  watch: { ...walker, name: 'watch', program: 'sr_watch', presets: { sleep: '0.1' } },
  subscribe: {
    ...base,
    name: 'subscribe',
    program: 'sr_subscribe',
    generatedQueue: true,
    presets: {
      exchange: 'xpublic',
      directory: 'CWD',
      inplace: 'on',
      inflight: '.tmp',
      post_base_url: 'file:',
    },
    acceptUnmatch: 'no-rules',
  },
  sarra: {
    ...base,
    name: 'sarra',
    program: 'sr_sarra',
    posts: 'always',
    presets: { mirror: 'on', post_exchange: 'xpublic', post_base_url: 'file:' },
  },
  sender: {
    ...base,
    name: 'sender',
    program: 'sr_sender',
    required: ['broker', 'exchange', 'destination'],
    presets: { exchange: 'xpublic', mirror: 'on', inflight: '.tmp' },
    acceptUnmatch: 'no-rules',
    plugins: { on_message: ['msg_2localfile'] },
  },
  shovel: {
    ...base,
    name: 'shovel',
    program: 'sr_shovel',
    posts: 'always',
    required: ['broker', 'exchange', 'post_broker'],
    forced: { notify_only: 'on' },
  },
  winnow: {
    ...base,
    name: 'winnow',
    program: 'sr_winnow',
    posts: 'always',
    required: ['broker', 'exchange', 'post_exchange'],
    presets: { suppress_duplicates: '1200' },
    forced: { notify_only: 'on' },
  },
  report: {
    ...base,
    name: 'report',
    program: 'sr_report',
    otherPrograms: ['sr_log'],
    posts: 'never',
    generatedQueue: true,
    required: ['broker'],
    presets: { topic_prefix: 'v02.report' },
    forced: { notify_only: 'on', instances: '1', report_back: 'off' },
  },
  '2xlog': { ...router, name: '2xlog', program: 'sr_2xlog' },
  log2source: { ...router, name: 'log2source', program: 'sr_log2source' },
  log2clusters: {
    ...router,
    name: 'log2clusters',
    program: 'sr_log2clusters',
    required: ['broker', 'post_broker', 'post_exchange'],
    // It is another pump's.
    presets: { declare_exchange: 'off' },
  },
  poll: {
    ...walker,
    name: 'poll',
    program: 'sr_poll',
    required: ['post_broker', 'post_exchange', 'destination', 'directory'],
    presets: { chmod: '0400', sleep: '300', suppress_duplicates: '1200', sum: 'z,d' },
    acceptUnmatch: false,
  },
  audit: {
    ...base,
    name: 'audit',
    program: 'sr_audit',
    otherPrograms: ['sr_police'],
    consumes: false,
    posts: 'never',
    required: [],
    forced: { instances: '1' },
    alone: true,
  },
  cpump: {
    ...base,
    name: 'cpump',
    program: 'sr_cpump',
    posts: 'always',
    forced: { notify_only: 'on' },
    searchesPath: true,
  },
};

/** The component a program is, by its name `sr_...`; `sr_log` is the component report. */
export const componentOf = (program: string): ComponentFacts | undefined =>
  Object.values(components).find(
    (facts) => facts.program === program || facts.otherPrograms.includes(program),
  );
