import type { Binding } from '../config.js';
import { parseUrl } from '../url.js';
import { bindingsOfInstance, postedExchanges } from './bindings.js';
import type { Settings } from './settings.js';
import { fatalAt, isExplicit, originOf, valueOf } from './settings.js';

/* Which exchanges are read and posted to, as far as that can be wrong. */

/** Two digits tell the exchanges of a split apart. */
const MOST_SHARDS = 100;

/** Throws FatalError where there are more shards than two digits can name. */
export function refuseSplits(settings: Settings): void {
  const refuse = (option: 'post_exchange_split' | 'instances'): never => {
    throw fatalAt(
      originOf(settings, option),
      option,
      `split exchanges have two digits, so there are ${MOST_SHARDS} at most. Write a smaller number`,
    );
  };
  if (valueOf(settings, 'post_exchange_split') > MOST_SHARDS) refuse('post_exchange_split');
  if (valueOf(settings, 'exchange_split') && valueOf(settings, 'instances') > MOST_SHARDS)
    refuse('instances');
}

/** Scheme and user do not matter: the same broker may be reached as several users, and with and without TLS. */
function brokerPlace(url: string): string {
  const { scheme, host = '', rest = '' } = parseUrl(url) ?? { scheme: '' };
  const [name = '', port] = host.toLowerCase().split(/:(?=\d*$)/);
  const usual = scheme === 'amqps' ? '5671' : '5672';
  // One broker listens on both of the usual ports.
  const number = port === undefined || port === '' || port === usual ? 'usual' : port;
  // This machine has several names.
  const isHere = ['localhost', '127.0.0.1', '[::1]'].includes(name);
  return `${isHere ? 'localhost' : name} ${number} ${rest.replace(/^\/+/, '')}`;
}

/** Whether a topic that begins with `prefix` may be bound by `key`. */
function mayMatch(key: string, prefix: string): boolean {
  const words = prefix.split('.');
  for (const [at, word] of key.split('.').entries()) {
    if (word === '#' || words[at] === undefined) return true;
    if (word !== '*' && word !== words[at]) return false;
  }
  return false;
}

/**
 * Throws FatalError where posts would come back to the program that made them: the same broker, and an exchange that
 * it reads.
 */
export function refuseLoop(settings: Settings, bindings: readonly Binding[]): void {
  const { name, program } = settings.facts;
  if (name !== 'winnow' && name !== 'shovel' && name !== 'cpump') return;
  const read = new Set(valueOf(settings, 'broker').map(brokerPlace));
  if (!valueOf(settings, 'post_broker').some((url) => read.has(brokerPlace(url)))) return;
  const posted = postedExchanges(
    valueOf(settings, 'post_exchange'),
    valueOf(settings, 'post_exchange_split'),
  );
  const prefix = valueOf(settings, 'post_topic_prefix') ?? 'v02.post';
  const queue = { exchangeSplit: valueOf(settings, 'exchange_split') };
  for (let instance = 1; instance <= valueOf(settings, 'instances'); instance += 1) {
    for (const { exchange, key } of bindingsOfInstance({ bindings, queue }, instance)) {
      if (!posted.includes(exchange) || (name !== 'winnow' && !mayMatch(key, prefix))) continue;
      const option = isExplicit(settings, 'post_exchange') ? 'post_exchange' : 'exchange';
      throw fatalAt(
        originOf(settings, option),
        option,
        `${program} would read its own posts: it reads ${exchange} and posts to ${exchange} on the same broker. ` +
          'Write another post_exchange',
      );
    }
  }
}
