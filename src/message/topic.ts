/** Words after the version that this program reads. */
export type TopicType = 'post' | 'log' | 'report';

/** AMQP allows 255 bytes; the existing readers and writers cut at 253. */
const TOPIC_LIMIT = 253;

/** Prefix of the topics of announcements. */
export const POST_PREFIX = 'v02.post';

/** Exactly the two characters that have a meaning in a topic or a body are escaped, nothing else. */
export function escapeWord(text: string): string {
  if (!text.includes(' ') && !text.includes('#')) return text;
  return text.replaceAll(' ', '%20').replaceAll('#', '%23');
}

/** Cuts a topic to 253 bytes of UTF-8, never inside a character. */
export function cutTopic(topic: string): { readonly topic: string; readonly truncated: boolean } {
  // A UTF-16 unit is at most three bytes of UTF-8.
  if (topic.length * 3 <= TOPIC_LIMIT) return { topic, truncated: false };
  const bytes = Buffer.from(topic);
  if (bytes.length <= TOPIC_LIMIT) return { topic, truncated: false };
  let end = TOPIC_LIMIT;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { topic: bytes.toString('utf8', 0, end), truncated: true };
}

/**
 * The topic of a path: prefix and directories joined with dots; the file name takes no part. `path` is decoded.
 * The topic is only a filter at the broker: no path can be had back from it.
 */
export function topicOf(
  prefix: string,
  path: string,
): { readonly topic: string; readonly truncated: boolean } {
  let start = 0;
  let end = path.length;
  while (start < end && path.charCodeAt(start) === 47) start += 1;
  while (end > start && path.charCodeAt(end - 1) === 47) end -= 1;
  const slash = path.lastIndexOf('/', end - 1);
  if (slash <= start) return cutTopic(prefix);
  const joined = `${prefix}.${path.slice(start, slash).replaceAll('/', '.')}`;
  return cutTopic(escapeWord(joined.includes('..') ? joined.replaceAll('..', '.') : joined));
}

/** What kind of message a topic announces; undefined when it is none of ours. The version word is not looked at. */
export function topicType(topic: string): TopicType | undefined {
  const start = topic.indexOf('.') + 1;
  if (start === 0) return undefined;
  const dot = topic.indexOf('.', start);
  const word = dot < 0 ? topic.slice(start) : topic.slice(start, dot);
  return word === 'post' || word === 'log' || word === 'report' ? word : undefined;
}

/**
 * The topic with its second word replaced, and only that: directories that are called `post` stay. A topic with
 * only one word gets a second one.
 */
export function withType(topic: string, type: string): string {
  const start = topic.indexOf('.') + 1;
  if (start === 0) return cutTopic(`${topic}.${type}`).topic;
  const dot = topic.indexOf('.', start);
  const rest = dot < 0 ? '' : topic.slice(dot);
  return cutTopic(topic.slice(0, start) + type + rest).topic;
}

/**
 * Exchanges the prefix and keeps the sub-topics, for what is announced again without a transfer. When the topic
 * does not begin with `from`, its first two words are taken for the prefix.
 */
export function retopic(topic: string, from: string, to: string): string {
  if (topic === from) return cutTopic(to).topic;
  if (from !== '' && topic.startsWith(`${from}.`)) return cutTopic(to + topic.slice(from.length)).topic;
  const first = topic.indexOf('.');
  const second = first < 0 ? -1 : topic.indexOf('.', first + 1);
  return cutTopic(second < 0 ? to : to + topic.slice(second)).topic;
}

/**
 * The key that binds a queue to a sub-topic. `*` stands for one word, and a `#` at the end for any number of them;
 * any other `#`, and every space, is a character of a name and is escaped as it is in topics.
 */
export function bindingKey(prefix: string, subtopic = '#'): string {
  if (subtopic === '') return escapeWord(prefix);
  if (subtopic === '#') return `${escapeWord(prefix)}.#`;
  const wild = subtopic.endsWith('.#');
  const words = wild ? subtopic.slice(0, -2) : subtopic;
  return `${escapeWord(prefix)}.${escapeWord(words)}${wild ? '.#' : ''}`;
}
