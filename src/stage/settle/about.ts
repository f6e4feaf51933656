import type { Received, Taken } from '../../flow/item.js';
import type { Envelope } from '../../message/announcement.js';

/** What a message is about, as far as that could be read; undefined for delivery records and for what is no message. */
export const aboutOf = ({
  subject,
  message,
}: Taken & Partial<Pick<Received, 'subject'>>): Envelope | undefined =>
  subject ??
  (message.kind === 'rejected' ? message.about : message.kind === 'post' ? message.announcement : undefined);
