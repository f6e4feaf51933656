import type { Settings } from './settings.js';
import { derive, fatalAt, isExplicit, originOf, valueOf, warn } from './settings.js';
import { isRouter } from '../option.js';
import type { OptionName } from '../options/index.js';
import { findOption } from '../options/index.js';
import { hostOf, userOf } from '../url.js';
import { contextOf } from './settings.js';

/** Values that follow from others, once everything is read. Throws FatalError for what cannot be. */
export function deriveDefaults(settings: Settings): void {
  force(settings);
  deriveBrokers(settings);
  derivePosting(settings);
  deriveTransfer(settings);
  deriveTimes(settings);
  derivePlugins(settings);
  if (!isExplicit(settings, 'accept_unmatch')) {
    const usual = settings.facts.acceptUnmatch;
    derive(settings, 'accept_unmatch', usual === 'no-rules' ? settings.rules.length === 0 : usual);
  }
}

/** The first user of the broker that is consumed from, or posted to by those who only post. */
export const brokerUser = (settings: Settings): string | undefined =>
  userOf((settings.facts.consumes ? valueOf(settings, 'broker') : valueOf(settings, 'post_broker'))[0]);

function force(settings: Settings): void {
  for (const [key, text] of Object.entries(settings.facts.forced)) {
    const found = findOption(key);
    const parsed = found?.row.type.parse([text], contextOf(settings));
    if (found === undefined || parsed === undefined || !('value' in parsed)) continue;
    const old = settings.entries.get(found.name);
    if (old !== undefined && isExplicit(settings, found.name) && old.value !== parsed.value)
      warn(
        settings,
        old.origin,
        `${key}: always ${text} in ${settings.facts.program}, ${old.text} is ignored`,
      );
    derive(settings, found.name, parsed.value as never);
  }
}

function deriveBrokers(settings: Settings): void {
  const { name, posts, consumes } = settings.facts;
  const feeder = valueOf(settings, 'feeder');
  if (
    (name === 'sender' || name === 'winnow' || isRouter(name)) &&
    valueOf(settings, 'broker').length === 0 &&
    feeder !== undefined
  )
    derive(settings, 'broker', [feeder]);
  const suffix = valueOf(settings, 'exchange_suffix');
  const user = userOf(valueOf(settings, 'broker')[0]);
  if (consumes && suffix !== undefined && user !== undefined && !isExplicit(settings, 'exchange'))
    derive(settings, 'exchange', `xs_${user}_${suffix}`);
  if (!consumes || posts !== 'always' || valueOf(settings, 'post_broker').length > 0) return;
  const fallsBack = name !== 'shovel' && name !== 'log2clusters';
  const usesFeeder = (name === 'sarra' || name === 'shovel') && feeder !== undefined;
  if (usesFeeder) derive(settings, 'post_broker', [feeder]);
  else if (fallsBack) derive(settings, 'post_broker', valueOf(settings, 'broker'));
}

function derivePosting(settings: Settings): void {
  const { name, consumes } = settings.facts;
  const broker = valueOf(settings, 'post_broker')[0];
  const user = userOf(broker);
  const suffix = valueOf(settings, 'post_exchange_suffix');
  const exchange = valueOf(settings, 'exchange');
  const preset = valueOf(settings, 'post_exchange');
  if (!isExplicit(settings, 'post_exchange') && broker !== undefined) {
    if (suffix !== undefined && user !== undefined) derive(settings, 'post_exchange', `xs_${user}_${suffix}`);
    else if (preset !== undefined) derive(settings, 'post_exchange', preset);
    else if (!consumes && user !== undefined) derive(settings, 'post_exchange', `xs_${user}`);
    else if (name === 'shovel' || name === 'cpump' || name === 'sender') {
      derive(settings, 'post_exchange', exchange);
      if (name === 'sender')
        warn(
          settings,
          originOf(settings, 'post_broker'),
          `post_exchange: not given, posting to ${exchange ?? 'nothing'} as consumed`,
        );
    }
  }
  if (!isExplicit(settings, 'post_topic_prefix'))
    derive(settings, 'post_topic_prefix', usualPostPrefix(settings));
  const destination = valueOf(settings, 'destination');
  if (
    (name === 'sender' || name === 'poll') &&
    !isExplicit(settings, 'post_base_url') &&
    destination !== undefined
  )
    derive(settings, 'post_base_url', [destination]);
  if (name === 'log2clusters') refuseUserExchange(settings);
  if (isExplicit(settings, 'to')) return;
  const host = name === 'log2clusters' ? settings.name : hostOf(broker);
  if (host !== undefined) derive(settings, 'to', [host]);
}

/** What is put into the exchange of an account counts there as what that account did, and is dropped. */
function refuseUserExchange(settings: Settings): void {
  const exchange = valueOf(settings, 'post_exchange');
  if (exchange?.startsWith('xs_') !== true) return;
  throw fatalAt(
    originOf(settings, 'post_exchange'),
    'post_exchange',
    `${exchange} is the exchange of one account, and only the records of its own deliveries are taken from there. ` +
      "Write xlog or xreport, and an account that may write there, such as a feeder's",
  );
}

/** The prefix that is read, in the format that is written; `topic_prefix` is the older name of those who only post. */
function usualPostPrefix(settings: Settings): string | undefined {
  const prefix = valueOf(settings, 'topic_prefix');
  if (settings.facts.consumes) return prefix?.replace(/^v03(?:\.post)?(?=\.|$)/, 'v02.post');
  return isExplicit(settings, 'topic_prefix') ? prefix : 'v02.post';
}

const refused: Partial<Record<string, readonly OptionName[]>> = {
  subscribe: [],
  sarra: ['discard', 'save'],
  sender: ['discard', 'notify_only'],
  winnow: ['discard', 'save'],
};

function deriveTransfer(settings: Settings): void {
  const { name } = settings.facts;
  for (const option of refused[name] ?? [])
    if (isExplicit(settings, option) && settings.entries.get(option)?.value === true)
      throw fatalAt(
        originOf(settings, option),
        option,
        `${settings.facts.program} cannot do that. Remove the line`,
      );
  const moves = name === 'subscribe' || name === 'sarra' || name === 'sender';
  if (moves && valueOf(settings, 'post_broker').length > 0 && !isExplicit(settings, 'inflight'))
    derive(settings, 'inflight', undefined);
  if (moves && typeof valueOf(settings, 'inflight') === 'number')
    throw fatalAt(
      originOf(settings, 'inflight'),
      'inflight',
      'an age is for programs that announce files. Write none, ., .EXT, DIR/ or umask',
    );
  if (valueOf(settings, 'discard') && name === 'subscribe') {
    derive(settings, 'inplace', false);
    derive(settings, 'overwrite', true);
  }
  const base = valueOf(settings, 'post_base_dir');
  if (name !== 'sarra' || base === undefined) return;
  if (valueOf(settings, 'directory') === undefined) derive(settings, 'directory', base);
  for (const [index, { rule, implicit }] of settings.rules.entries())
    if (rule.directory === undefined)
      settings.rules[index] = { rule: { ...rule, directory: base }, implicit };
}

function deriveTimes(settings: Settings): void {
  const adHoc = settings.name === undefined;
  const expire = valueOf(settings, 'expire');
  if (isExplicit(settings, 'expire') && expire !== undefined && expire < 300)
    warn(
      settings,
      originOf(settings, 'expire'),
      `expire: the queue lives only ${expire} s without consumer, less than 5 minutes`,
    );
  if (!isExplicit(settings, 'expire') && adHoc) derive(settings, 'expire', 300);
  if (!isExplicit(settings, 'retry_ttl') && isExplicit(settings, 'expire') && expire !== undefined)
    derive(settings, 'retry_ttl', expire);
  if (!isExplicit(settings, 'sanity_log_dead'))
    derive(settings, 'sanity_log_dead', Math.max(450, 1.5 * valueOf(settings, 'heartbeat')));
  const atLeast = valueOf(settings, 'force_polling') ? 5 : 0.1;
  if (settings.facts.name === 'watch' && valueOf(settings, 'sleep') < atLeast)
    derive(settings, 'sleep', atLeast);
}

/** `xs_USER`, or for those who run the pump the one of the dialect; undefined: ask the broker. */
export function deriveReports(settings: Settings): void {
  if (isExplicit(settings, 'report_exchange') || !settings.facts.consumes) return;
  const user = brokerUser(settings);
  if (user === undefined) return;
  const dialect = valueOf(settings, 'report_dialect');
  if (!runsThePump(settings, user)) derive(settings, 'report_exchange', `xs_${user}`);
  else if (dialect !== 'auto') derive(settings, 'report_exchange', dialect === 'log' ? 'xlog' : 'xreport');
}

/** The user is the feeder or the administrator. */
export const runsThePump = (settings: Settings, user: string): boolean =>
  user === userOf(valueOf(settings, 'feeder')) || user === userOf(valueOf(settings, 'admin'));

function derivePlugins(settings: Settings): void {
  const entry = settings.entries.get('on_heartbeat');
  if (entry === undefined || entry.cleared) return;
  const now = valueOf(settings, 'on_heartbeat');
  const extra: string[] = [];
  if (valueOf(settings, 'suppress_duplicates') > 0) extra.push('hb_cache');
  if (settings.facts.consumes && valueOf(settings, 'retry')) extra.push('hb_retry');
  derive(settings, 'on_heartbeat', [...now.slice(0, 2), ...extra, ...now.slice(2)]);
}
