/** What RabbitMQ's management API lists, row by row. A row that lacks what every row has makes the answer partial. */
import { messageOf, RetryableError } from '../errors.js';

/** One object of an answer. */
export type Row = Readonly<Record<string, unknown>>;

/** The broker answered, and not with everything: nothing may be concluded from what is absent. */
export class PartialAnswer extends RetryableError {}

export interface Rights {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface ListedUser {
  readonly name: string;
  readonly tags: readonly string[];
  readonly passwordHash: string;
  readonly hashingAlgorithm: string;
}

export interface ListedRights extends Rights {
  readonly user: string;
  readonly vhost: string;
}

export interface ListedExchange {
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  /** Messages posted to it since the broker counts; undefined while nobody has. */
  readonly published: number | undefined;
}

export interface ListedQueue {
  readonly name: string;
  readonly exclusive: boolean;
  /** Undefined while the broker has no count. */
  readonly messages: number | undefined;
  readonly consumers: number | undefined;
  /** Since when nothing has happened to it; undefined while something does, or nobody knows. */
  readonly idleSince: Date | undefined;
}

export interface ListedBinding {
  readonly source: string;
  readonly destination: string;
  readonly destinationType: string;
  readonly key: string;
}

const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const partial = (path: string, what: string): PartialAnswer =>
  new PartialAnswer(`the broker's answer to ${path} is not complete: ${what}`);

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw partial(path, `it is no JSON (${messageOf(thrown)})`);
  }
}

export function objectOf(text: string, path: string): Row {
  const found = parse(text, path);
  if (!isRow(found)) throw partial(path, 'it is no object');
  return found;
}

export function rowsOf(text: string, path: string): readonly Row[] {
  const found = parse(text, path);
  if (!Array.isArray(found)) throw partial(path, 'it is no list');
  const rows = found as readonly unknown[];
  if (!rows.every(isRow)) throw partial(path, 'something in the list is no object');
  return rows;
}

export function nameOf(row: Row, path: string, member = 'name'): string {
  const name = row[member];
  if (typeof name !== 'string') throw partial(path, `an entry has no ${member}`);
  return name;
}

const textIn = (row: Row, member: string): string => {
  const value = row[member];
  return typeof value === 'string' ? value : '';
};

const numberIn = (row: Row, member: string): number | undefined => {
  const value = row[member];
  return typeof value === 'number' ? value : undefined;
};

export function ailmentOf(row: Row): readonly string[] {
  const node = nameOf(row, 'nodes');
  const partitions = row['partitions'];
  if (row['running'] !== true) return [`node ${node} is not running`];
  return Array.isArray(partitions) && partitions.length > 0
    ? [`node ${node} is parted from ${partitions.map(String).join(', ')}`]
    : [];
}

/** Older brokers give tags as one text. */
export function userOf(row: Row): ListedUser {
  const { tags } = row;
  const words = Array.isArray(tags)
    ? tags.map(String)
    : typeof tags === 'string'
      ? tags.split(',')
      : undefined;
  if (words === undefined) throw partial('users', `user ${nameOf(row, 'users')} has no tags`);
  return {
    name: nameOf(row, 'users'),
    tags: words.map((word) => word.trim()).filter((word) => word !== ''),
    passwordHash: textIn(row, 'password_hash'),
    hashingAlgorithm: textIn(row, 'hashing_algorithm'),
  };
}

export const rightsOf = (row: Row): ListedRights => ({
  user: nameOf(row, 'permissions', 'user'),
  vhost: nameOf(row, 'permissions', 'vhost'),
  configure: nameOf(row, 'permissions', 'configure'),
  write: nameOf(row, 'permissions', 'write'),
  read: nameOf(row, 'permissions', 'read'),
});

export function exchangeOf(row: Row): ListedExchange {
  const statistics = row['message_stats'];
  return {
    name: nameOf(row, 'exchanges'),
    type: nameOf(row, 'exchanges', 'type'),
    durable: row['durable'] === true,
    autoDelete: row['auto_delete'] === true,
    internal: row['internal'] === true,
    published: isRow(statistics) ? numberIn(statistics, 'publish_in') : undefined,
  };
}

export const queueOf = (row: Row): ListedQueue => ({
  name: nameOf(row, 'queues'),
  exclusive: row['exclusive'] === true,
  messages: numberIn(row, 'messages'),
  consumers: numberIn(row, 'consumers'),
  idleSince: dateOf(textIn(row, 'idle_since')),
});

/** `2026-01-20 10:00:00` of older brokers is UTC. */
function dateOf(text: string): Date | undefined {
  const iso = /^\d{4}-\d\d-\d\d \d{1,2}:\d\d:\d\d$/.test(text) ? `${text.replace(' ', 'T')}Z` : text;
  const date = new Date(iso);
  return text === '' || Number.isNaN(date.getTime()) ? undefined : date;
}

export const bindingOf = (row: Row): ListedBinding => ({
  source: nameOf(row, 'bindings', 'source'),
  destination: nameOf(row, 'bindings', 'destination'),
  destinationType: nameOf(row, 'bindings', 'destination_type'),
  key: nameOf(row, 'bindings', 'routing_key'),
});
