import type { ComponentName, OptionGroup, OptionRow } from '../option.js';
import { placement } from './placement.js';
import { plugins } from './plugins.js';
import { posting } from './posting.js';
import { queue } from './queue.js';
import { reporting } from './reporting.js';
import { running } from './running.js';
import { selection } from './selection.js';
import { transfer } from './transfer.js';

/** Every option there is, by group. */
export const groups = {
  running,
  queue,
  selection,
  placement,
  transfer,
  posting,
  reporting,
  plugins,
} as const satisfies Readonly<Record<string, OptionGroup>>;

export type GroupName = keyof typeof groups;

/** Every name of an option, exactly as configurations write it. */
export type OptionName = { [G in GroupName]: keyof (typeof groups)[G] }[GroupName];

export interface NamedRow {
  readonly name: OptionName;
  readonly group: GroupName;
  readonly row: OptionRow<unknown>;
}

/** Every row with its name: what help, manual pages and completion are made of. */
export const optionRows: readonly NamedRow[] = Object.entries(groups).flatMap(([groupName, rows]) =>
  Object.entries(rows as OptionGroup).map(([name, row]) => ({
    name: name as OptionName,
    group: groupName as GroupName,
    row,
  })),
);

/** Spellings of the successor whose meaning is the same. They are understood, and never shown in help. */
export const successorNames: Readonly<Record<string, OptionName>> = {
  acceptUnmatched: 'accept_unmatch',
  acceptUnmatch: 'accept_unmatch',
  baseDir: 'base_dir',
  blockSize: 'blocksize',
  bufSize: 'bufsize',
  clusterAliases: 'cluster_aliases',
  exchangeDeclare: 'declare_exchange',
  exchangeSplit: 'exchange_split',
  exchangeSuffix: 'exchange_suffix',
  fileAgeMax: 'file_time_limit',
  fileEvents: 'events',
  followSymlinks: 'follow_symlinks',
  forcePolling: 'force_polling',
  hostdir: 'statehost',
  housekeeping: 'heartbeat',
  inlineByteMax: 'inline_max',
  inlineEncoding: 'inline_encoding',
  logFormat: 'log_format',
  logLevel: 'loglevel',
  logReject: 'log_reject',
  logRotateCount: 'logrotate',
  logRotateInterval: 'logrotate_interval',
  messageRateMax: 'post_rate_limit',
  nodupe_basis: 'suppress_duplicates_basis',
  nodupe_ttl: 'suppress_duplicates',
  permCopy: 'preserve_mode',
  permDefault: 'chmod',
  permDirDefault: 'chmod_dir',
  permLog: 'chmod_log',
  pollUrl: 'destination',
  post_baseDir: 'post_base_dir',
  post_baseUrl: 'post_base_url',
  post_exchangeSplit: 'post_exchange_split',
  post_exchangeSuffix: 'post_exchange_suffix',
  post_topicPrefix: 'post_topic_prefix',
  queueBind: 'bind_queue',
  queueDeclare: 'declare_queue',
  queueName: 'queue_name',
  realpathFilter: 'realpath_filter',
  realpathPost: 'realpath_post',
  sendTo: 'destination',
  sourceFromExchange: 'source_from_exchange',
  timeCopy: 'preserve_time',
  timezone: 'destination_timezone',
  tlsRigour: 'tls_rigour',
  topicPrefix: 'topic_prefix',
};

/** Names of old releases that say nothing any more, and are passed over in silence. */
export const obsoleteNames: ReadonlySet<string> = new Set([
  'host',
  'amqp-user',
  'amqp-password',
  'http-user',
  'http-password',
  'topic',
  'exchange_type',
  'exchange_key',
  'remote_config',
]);

export interface FoundOption extends NamedRow {
  /** The keyword is an old spelling, which deserves a warning. */
  readonly old: boolean;
}

const byKeyword = new Map<string, FoundOption>();
for (const named of optionRows) {
  for (const keyword of [named.name, ...named.row.aliases]) byKeyword.set(keyword, { ...named, old: false });
  for (const keyword of named.row.oldSpellings) byKeyword.set(keyword, { ...named, old: true });
}
for (const [keyword, name] of Object.entries(successorNames)) {
  const found = byKeyword.get(name);
  if (found !== undefined && !byKeyword.has(keyword)) byKeyword.set(keyword, found);
}

/** The option a keyword means: by name, alias, old spelling or the successor's spelling; case matters. */
export const findOption = (keyword: string): FoundOption | undefined => byKeyword.get(keyword);

/** All keywords that are understood, for suggestions. */
export const optionKeywords = (): Iterable<string> => byKeyword.keys();

/** The rows a component uses, in the order of the table. */
export const rowsOf = (component: ComponentName): readonly NamedRow[] =>
  optionRows.filter(({ row }) => row.components.includes(component));
