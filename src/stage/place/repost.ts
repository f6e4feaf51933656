import type { Target } from '../../flow/item.js';
import type { Announcement } from '../../message/announcement.js';
import { encodeRelPath } from '../../message/rel-path.js';
import { retopic, topicOf } from '../../message/topic.js';

/** How what arrived is announced again. */
export interface RepostOptions {
  /** False where no data is moved: the announcement goes on as it came, only the prefix of its topic is exchanged. */
  readonly transferred: boolean;
  /** Taken in turns; none means `file:`. */
  readonly baseUrls: readonly string[];
  /** Removed from the front of posted paths. */
  readonly postBaseDir: string | undefined;
  /** First words of posted topics, and of those that are read. */
  readonly topicPrefix: string;
  readonly receivedPrefix: string;
}

/** A path as it is posted: without the base directory at its front, which is removed once and only as a whole. */
export function postedPath(path: string, baseDir: string | undefined): string {
  const base = baseDir?.replace(/\/+$/, '') ?? '';
  return base !== '' && path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

export interface Reposted {
  readonly next: Announcement;
  /** The topic was too long, and was cut. */
  readonly truncated: boolean;
}

/** The announcement for those further down: where the file is now, and whatever else the message said. */
export function repost(
  subject: Announcement,
  target: Target,
  counterpart: Target | undefined,
  baseUrl: string | undefined,
  options: RepostOptions,
): Reposted {
  const { topicPrefix, receivedPrefix, postBaseDir } = options;
  if (!options.transferred) {
    const topic = retopic(subject.topic, receivedPrefix, topicPrefix);
    return { next: { ...subject, topic }, truncated: false };
  }
  const path = postedPath(target.path, postBaseDir);
  const { topic, truncated } = topicOf(topicPrefix, path);
  const headers = subject.headers.has('rename')
    ? new Map([...subject.headers].filter(([name]) => name !== 'rename'))
    : subject.headers;
  const other = counterpart && postedPath(counterpart.path, postBaseDir);
  const next: Announcement = {
    topic,
    pubTime: subject.pubTime,
    baseUrl: baseUrl === undefined || baseUrl.startsWith('file:') ? 'file:' : baseUrl,
    relPath: encodeRelPath(path),
    headers,
    change: subject.change,
    ...(other !== undefined && { moved: subject.change.kind === 'remove' ? { to: other } : { from: other } }),
  };
  return { next, truncated };
}

/** The announcement for those further down when a plugin has chosen another target. */
export const followTarget =
  ({ transferred, postBaseDir, topicPrefix }: RepostOptions) =>
  (next: Announcement, target: Target): Announcement => {
    if (!transferred) return next;
    const path = postedPath(target.path, postBaseDir);
    return { ...next, relPath: encodeRelPath(path), topic: topicOf(topicPrefix, path).topic };
  };
