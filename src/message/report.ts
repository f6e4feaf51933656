import type { Announcement, Envelope } from './announcement.js';

/** A delivery record (v02.log, v02.report): who did what with an announced file, and how it ended. */
export interface Report {
  /**
   * What the record is about: the announcement as it stood when the record was made. An envelope alone when the
   * change cannot be read, as in records of malformed messages; see isAnnouncement.
   */
  readonly about: Envelope | Announcement;
  /** Three digits, see report-codes.ts. */
  readonly code: number;
  /** Short English text, the `message` header. */
  readonly text: string;
  /** Fully qualified name of the host that did the work. */
  readonly host: string;
  /** Broker user of the emitter on the broker it consumes from. */
  readonly user: string;
  /** Seconds of processing. */
  readonly elapsed: number;
}
