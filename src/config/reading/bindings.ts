import { createHash } from 'node:crypto';
import type { Binding, QueueName } from '../config.js';
import { isRouter } from '../option.js';
import type { Settings } from './settings.js';
import { isExplicit, originOf, valueOf, warn } from './settings.js';
import { brokerUser, runsThePump } from './derive.js';

/** A topic to bind: blanks and every `#` but a final wildcard are encoded. */
export function bindingKey(prefix: string, subtopic: string): string {
  const key = `${prefix}.${subtopic}`.replaceAll(' ', '%20');
  const wild = key.endsWith('.#');
  return (wild ? key.slice(0, -2) : key).replaceAll('#', '%23') + (wild ? '.#' : '');
}

/** Exchange and topic prefix that stand for each other where reports are read. */
interface Pair {
  readonly exchange: string;
  readonly prefix: string;
  readonly optional: boolean;
}

/** The first words of the topics of records, in both dialects. */
const recordPrefixes = { log: 'v02.log', report: 'v02.report' } as const;

/** Which exchanges records are read from where none is named, and under which topics. */
function reportPairs(settings: Settings): readonly Pair[] {
  const { name } = settings.facts;
  const user = brokerUser(settings);
  if (user === undefined) return [];
  if (name === '2xlog') {
    // One that is missing is to be made, and is waited for.
    const users = [...new Set([...settings.sources, ...settings.subscribers, ...settings.pumps])];
    return users.flatMap((one) => bothDialects({ exchange: `xs_${one}`, optional: false }));
  }
  const pump = isRouter(name) || runsThePump(settings, user);
  const exchanges = {
    log: pump ? 'xlog' : `xl_${user}`,
    report: pump ? 'xreport' : `xr_${user}`,
  };
  const dialect = valueOf(settings, 'report_dialect');
  if (dialect !== 'auto' && !isRouter(name))
    return [{ exchange: exchanges[dialect], prefix: recordPrefixes[dialect], optional: false }];
  // On a pump that has one of the exchanges only, records of both dialects go there.
  return Object.values(exchanges).flatMap((exchange) => bothDialects({ exchange, optional: true }));
}

const bothDialects = (pair: Omit<Pair, 'prefix'>): readonly Pair[] =>
  Object.values(recordPrefixes).map((prefix) => ({ ...pair, prefix }));

/** What the queue is bound to: the subtopics, or everything on the exchange in force at the end. */
export function collectBindings(settings: Settings): readonly Binding[] {
  const { facts } = settings;
  if (!facts.consumes || settings.bindNothing) return [];
  const written =
    settings.bindings.length > 0
      ? settings.bindings
      : [{ exchange: undefined, prefix: undefined, subtopic: '#' }];
  const final = valueOf(settings, 'exchange');
  const fallback = valueOf(settings, 'topic_prefix') ?? 'v02.post';
  const prefixFor = (exchange: string, prefix: string | undefined): string => {
    if (prefix !== undefined) return prefix;
    const readsLogs =
      facts.name === 'report' && !isExplicit(settings, 'topic_prefix') && /^xl(og|_)/.test(exchange);
    return readsLogs ? 'v02.log' : fallback;
  };
  const router = isRouter(facts.name);
  const found = written.flatMap(({ exchange = final, prefix, subtopic }): Binding[] => {
    if (exchange !== undefined && router)
      return bothDialects({ exchange, optional: false }).map((pair) => ({
        exchange,
        key: bindingKey(pair.prefix, subtopic),
        optional: false,
      }));
    if (exchange !== undefined)
      return [{ exchange, key: bindingKey(prefixFor(exchange, prefix), subtopic), optional: false }];
    if (facts.name !== 'report' && !router) return [];
    return reportPairs(settings).map((pair) => ({
      exchange: pair.exchange,
      key: bindingKey(router ? pair.prefix : (prefix ?? pair.prefix), subtopic),
      optional: pair.optional,
    }));
  });
  const seen = new Set<string>();
  return found.filter(({ exchange, key }) => {
    const fresh = !seen.has(`${exchange} ${key}`);
    seen.add(`${exchange} ${key}`);
    return fresh;
  });
}

/** The name of the state: the configuration's, or a digest of what makes an ad-hoc run the same run again. */
export function stateNameOf(settings: Settings, bindings: readonly Binding[]): string {
  if (settings.name !== undefined) return settings.name;
  const identity = [
    settings.facts.name,
    valueOf(settings, settings.facts.consumes ? 'broker' : 'post_broker'),
    bindings,
    valueOf(settings, 'directory') ?? '',
    // Looking must not take the messages of a run that fetches.
    valueOf(settings, 'notify_only') === true,
  ];
  return `adhoc-${createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 12)}`;
}

/** The name of the queue, or the beginning of a name to be made once and kept. */
export function queueNameOf(settings: Settings, stateName: string): QueueName | undefined {
  const { facts } = settings;
  if (!facts.consumes) return undefined;
  const user = brokerUser(settings) ?? 'anonymous';
  const given = valueOf(settings, 'queue_name');
  if (given !== undefined) {
    if (!given.startsWith(`q_${user}`))
      warn(
        settings,
        originOf(settings, 'queue_name'),
        `queue_name: does not begin with q_${user}, the broker may refuse it`,
      );
    return { kind: 'fixed', name: given };
  }
  // As earlier versions name it.
  const way = facts.name === 'log2clusters' ? `.${valueOf(settings, 'post_exchange') ?? ''}` : '';
  const name = `q_${user}.${facts.program}.${stateName}${way}`;
  if (!facts.generatedQueue) return { kind: 'fixed', name };
  const suffix = valueOf(settings, 'queue_suffix');
  return { kind: 'generated', prefix: suffix === undefined ? name : `${name}.${suffix}` };
}

const twoDigits = (number: number): string => String(number).padStart(2, '0');

/** The exchanges that are posted to: several when posts are spread by checksum. */
export const postedExchanges = (exchange: string | undefined, split: number): readonly string[] => {
  if (exchange === undefined) return [];
  if (split < 1) return [exchange];
  return Array.from({ length: split }, (_, number) => exchange + twoDigits(number));
};

/** What is known of the queues of a configuration. */
interface Queues {
  readonly queueName: QueueName | undefined;
  readonly bindings: readonly Binding[];
  readonly queue: { readonly exchangeSplit: boolean };
}

/** The digits by which one instance (from 1) knows its own; with a single process it is the first. */
const shardOf = (instance: number): string => twoDigits(Math.max(0, instance - 1));

/** Bindings of one instance (from 1): with `exchange_split` each has an exchange of its own. */
export const bindingsOfInstance = (
  { bindings, queue }: Omit<Queues, 'queueName'>,
  instance: number,
): readonly Binding[] =>
  queue.exchangeSplit
    ? bindings.map((binding) => ({ ...binding, exchange: binding.exchange + shardOf(instance) }))
    : bindings;

/** Queue of one instance (from 1): shared, unless `exchange_split` gives each its own. */
export function queueOfInstance(
  { queueName, queue }: Omit<Queues, 'bindings'>,
  instance: number,
): QueueName | undefined {
  if (queueName === undefined || !queue.exchangeSplit) return queueName;
  const suffix = `_${shardOf(instance)}`;
  return queueName.kind === 'fixed'
    ? { kind: 'fixed', name: queueName.name + suffix }
    : { kind: 'generated', prefix: queueName.prefix + suffix };
}
