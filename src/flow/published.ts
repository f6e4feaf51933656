import { parsePubTime } from '../message/pub-time.js';
import type { Taken } from './item.js';

/** When the message of an item was published, in milliseconds since 1970; undefined where it does not say. */
export function publishedAt(item: Partial<Pick<Taken, 'message'>>): number | undefined {
  const { message } = item;
  if (message === undefined || message.kind === 'rejected') return undefined;
  const stamp = message.kind === 'post' ? message.announcement.pubTime : message.report.about.pubTime;
  return parsePubTime(stamp)?.instant;
}
