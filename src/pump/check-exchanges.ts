import type { ListedExchange } from '../broker/listed.js';
import { type Expected, ownerOfExchange } from './expected.js';
import type { Finding } from './findings.js';
import type { Picture } from './picture.js';

/** Exchanges of the broker itself. */
const isBrokers = (name: string): boolean => name === '' || name.startsWith('amq.');

/** Exchanges that belong to nobody: those that are missing, and those that should not be. */
export function checkExchanges(expected: Expected, picture: Picture): readonly Finding[] {
  const there = new Set(picture.exchanges.map(({ name }) => name));
  const missing = [...expected.exchanges].filter(([name]) => !there.has(name));
  return [
    ...missing.map(([name, why]) => missingExchange(name, why)),
    ...picture.exchanges.filter(({ name }) => !isBrokers(name)).flatMap((one) => judge(one, expected)),
  ];
}

const missingExchange = (name: string, why: string): Finding => ({
  class: 'exchanges',
  code: 'missing-exchange',
  severity: 'error',
  object: name,
  text: `exchange ${name} (${why}) does not exist`,
  remedy: 'sr_audit --users foreground, or audit_apply exchanges',
  repair: { action: 'create', kind: 'exchange', name },
});

const toDelete = (name: string, code: string, text: string): Finding => ({
  class: 'exchanges',
  code,
  severity: 'error',
  object: name,
  text,
  remedy: 'declare it if it is wanted, or let audit_apply exchanges remove it',
  repair: { action: 'delete', kind: 'exchange', name },
});

function judge(exchange: ListedExchange, expected: Expected): readonly Finding[] {
  const { name } = exchange;
  if (!name.startsWith('x'))
    return [
      toDelete(name, 'foreign-exchange', `exchange ${name} is none of a pump: its name has no x first`),
    ];
  const isUsers = /^x[slr]_/u.test(name) && name !== 'xs_mqtt_public';
  const isKnown = expected.exchanges.has(name) || ownerOfExchange(name, expected.users.keys()) !== undefined;
  if (isUsers && !isKnown)
    return [toDelete(name, 'exchange-of-unknown', `exchange ${name} belongs to no declared user`)];
  return [...wrongKind(exchange), ...(isKnown || isTolerated(name, expected) ? [] : [unknown(name)])];
}

/** Public ones by any name, variants of what is declared, and the numbered exchanges of those that split. */
const isTolerated = (name: string, expected: Expected): boolean =>
  /^xwinnow|public$/u.test(name) ||
  name === 'xs_mqtt_public' ||
  expected.exchanges.has(name.replace(/[0-9]{2}$/u, ''));

const unknown = (name: string): Finding => ({
  class: 'exchanges',
  code: 'unknown-exchange',
  severity: 'note',
  object: name,
  text: `exchange ${name} is not declared`,
  remedy: `write declare exchange ${name} in admin.conf, or remove it`,
  repair: undefined,
});

function wrongKind({ name, type, durable, autoDelete, internal }: ListedExchange): readonly Finding[] {
  if (type === 'topic' && durable && !autoDelete && !internal) return [];
  const words = [
    type,
    durable ? 'durable' : 'not durable',
    ...(autoDelete ? ['auto-delete'] : []),
    ...(internal ? ['internal'] : []),
  ];
  return [
    {
      class: 'exchanges',
      code: 'wrong-exchange',
      severity: 'error',
      object: name,
      text: `exchange ${name} is ${words.join(', ')}; every exchange of a pump is a durable topic exchange`,
      remedy:
        'stop who uses it, delete it, and let the audit make it again; its bindings are made by their readers',
      repair: undefined,
    },
  ];
}
