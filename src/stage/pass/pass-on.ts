import type { Received } from '../../flow/item.js';
import type { Stage } from '../../flow/stage.js';
import type { Announcement } from '../../message/announcement.js';
import { retopic } from '../../message/topic.js';

export interface PassOnOptions {
  /** First words of the topics that are read. */
  readonly receivedPrefix: string;
  /** First words of posted topics. */
  readonly topicPrefix: string;
}

/** No file is moved, so the announcement goes on as it came: only the prefix of its topic is exchanged. */
export const passOn = ({
  receivedPrefix,
  topicPrefix,
}: PassOnOptions): Stage<Pick<Received, 'subject'>, { readonly next: Announcement }> => ({
  name: 'pass-on',
  isLight: true,
  run: ({ subject }) => {
    const topic = retopic(subject.topic, receivedPrefix, topicPrefix);
    return { next: topic === subject.topic ? subject : { ...subject, topic } };
  },
});
