import type { Attributes } from '../../file/attributes.js';
import { modeFromText } from '../../file/attributes.js';
import type { Announcement } from '../../message/announcement.js';
import { parseFileTime } from '../../message/pub-time.js';

export interface AttributeOptions {
  readonly preserveMode: boolean;
  readonly preserveTime: boolean;
  readonly mode: number | undefined;
}

/** Mode and times that a file gets: those announced where they are to be kept, else what the options say. */
export function attributesOf(
  { headers }: Pick<Announcement, 'headers'>,
  options: AttributeOptions,
): Attributes {
  const modified = options.preserveTime ? instantOf(headers.get('mtime')) : undefined;
  const accessed = options.preserveTime ? (instantOf(headers.get('atime')) ?? modified) : undefined;
  return { mode: modeOf({ headers }, options), modified, accessed };
}

/** The mode alone. */
export const modeOf = (
  { headers }: Pick<Announcement, 'headers'>,
  { preserveMode, mode }: Pick<AttributeOptions, 'preserveMode' | 'mode'>,
): number | undefined => (preserveMode ? modeFromText(headers.get('mode')) : undefined) ?? mode;

function instantOf(text: string | undefined): Date | undefined {
  const time = text === undefined ? undefined : parseFileTime(text);
  return time === undefined ? undefined : new Date(time);
}
