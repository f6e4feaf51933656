/** How an operation ended, by the first digit of its code. */
export type ReportClass = 'done' | 'more to do' | 'refused' | 'failed';

export interface ReportCode {
  readonly code: number;
  /** What the code stands for. */
  readonly meaning: string;
  readonly class: ReportClass;
}

/** Codes that records carry. Scripts may use others. */
export const reportCodes: ReadonlyMap<number, ReportCode> = new Map(
  (
    [
      [201, 'the file, block or message was transferred, applied or announced', 'done'],
      [203, 'transferred, but its sum is not the announced one', 'done'],
      [
        205,
        'the target was longer than announced and was cut, or was removed or linked at the destination',
        'done',
      ],
      [304, 'the same content, or a newer one, is already there', 'more to do'],
      [307, 'the block was stored aside until its place in the file is there', 'more to do'],
      [403, 'source, cluster or destination is missing or not allowed', 'refused'],
      [417, 'the message breaks the format', 'refused'],
      [496, 'the delivery failed', 'refused'],
      [497, 'the delivery failed', 'refused'],
      [499, 'the transfer failed', 'refused'],
      [500, 'a change to the local file system failed', 'failed'],
      [503, 'it could not be processed', 'failed'],
    ] as const
  ).map(([code, meaning, of]) => [code, { code, meaning, class: of }]),
);

/** The class of any code; codes below 200 count as done. */
export function reportClass(code: number): ReportClass {
  if (code < 300) return 'done';
  if (code < 400) return 'more to do';
  return code < 500 ? 'refused' : 'failed';
}

/** What a code stands for, for people. */
export const meaningOf = (code: number): string => reportCodes.get(code)?.meaning ?? 'defined by a script';

/** Texts of records, as readers of the existing programs know them. */
export const reportTexts = {
  downloaded: 'Downloaded',
  copied: 'Copied',
  linked: 'Linked',
  inserted: 'Inserted',
  published: 'Published',
  delivered: 'Delivered',
  moved: 'moved',
  removed: 'removed',
  symlinked: 'linked',
  transformed: 'Non-Authoritative Information: transformed during download',
  truncated: 'Reset Content :truncated',
  notModified: 'not modified',
  storedAside: 'Temporary Redirect',
  unableToProcess: 'Unable to process',
  removeFailed: 'remove failed',
  linkFailed: 'symlink failed',
} as const;

/** Text of a 403 record: what the message lacked. */
export const forbiddenText = (without: string): string => `Forbidden : message without ${without}`;

/** Text of a 417 record. */
export const malformedText = (reason: string): string => `Expectation Failed : ${reason}`;

/** Text of a 499 record. */
export const transferFailedText = (scheme: string): string => `${scheme} download failed`;

/** Text of a 497 record. */
export const deliveryFailedText = (scheme: string): string => `${scheme} delivery failed`;

/** Text of a 503 record for a URL scheme nobody serves. */
export const unknownSchemeText = (scheme: string): string => `Service unavailable ${scheme}`;
