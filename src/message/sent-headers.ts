import { createHash } from 'node:crypto';
import { type Announcement, type Change, type Envelope, isAnnouncement } from './announcement.js';
import { fits, isDropped, isEssential, shown } from './headers.js';
import { formatParts } from './parts.js';
import { decodeRelPath, hasLoneSurrogate, isInsidePath, nameOf, normalisePath } from './rel-path.js';
import { formatSum, type Sum } from './sum.js';
import { HEADER_LIMIT } from './wire.js';

const sha512 = (text: string): string => createHash('sha512').update(text).digest('hex');

/**
 * Stands for a missing sum. Readers keep the sum of the message before when there is none, so there must be one;
 * `0` is never equal to anything. The digits only spread the load, they need not be random.
 */
function unknownSum(envelope: Envelope): string {
  let digits = 0;
  const text = envelope.pubTime + envelope.relPath;
  for (let index = 0; index < text.length; index += 1)
    digits = (digits * 31 + text.charCodeAt(index)) % 10_000;
  return `0,${String(digits).padStart(4, '0')}`;
}

const sumText = (envelope: Envelope, sum: Sum | undefined): string =>
  sum === undefined ? unknownSum(envelope) : formatSum(sum);

/** Headers that say what changed. */
function changeHeaders(envelope: Envelope, change: Change): Record<string, string> {
  switch (change.kind) {
    case 'write': {
      const sum = sumText(envelope, change.sum);
      return change.parts === undefined ? { sum } : { parts: formatParts(change.parts), sum };
    }
    case 'remove':
      return { sum: `R,${sha512(nameOf(normalisePath(decodeRelPath(envelope.relPath))))}` };
    case 'link':
      return { link: change.to, sum: `L,${sha512(change.to)}` };
    case 'make-directory':
      return { sum: `m,${sha512(nameOf(normalisePath(decodeRelPath(envelope.relPath))))}` };
  }
}

/** Removals and links have no times and no mode. */
const isFileHeader = (name: string): boolean => name === 'mtime' || name === 'atime' || name === 'mode';

/** Characters a header name may have in AMQP and survives everywhere. */
function isHeaderName(name: string): boolean {
  if (name === '' || name.length > 128) return false;
  for (let index = 0; index < name.length; index += 1) {
    const unit = name.charCodeAt(index);
    if (unit < 0x21 || unit > 0x7e) return false;
  }
  return true;
}

type Found = { readonly headers: Record<string, string> } | { readonly problem: string };

/**
 * All headers of a message as strings. There is always a sum: readers keep that of the message before when there is
 * none. What cannot be sent is left out with a warning; where that would change the meaning of an announcement
 * (`exact`) the answer is what is wrong.
 */
export function sentHeaders(about: Envelope | Announcement, exact: boolean, warnings: string[]): Found {
  const change = isAnnouncement(about) ? about.change : undefined;
  const isWrite = change === undefined || change.kind === 'write';
  const headers: Record<string, string> = {};
  const told = isAnnouncement(about) ? toldHeaders(about, warnings) : { sum: unknownSum(about) };
  for (const name in told) {
    const text = told[name] ?? '';
    const problem = fits(text) ? textProblem(text) : TOO_LONG;
    if (problem === undefined) headers[name] = text;
    else if (exact) return { problem: `header ${name} ${problem}` };
    else warnings.push(`header ${name} ${problem} and was left out`);
  }
  headers['sum'] ??= unknownSum(about);
  for (const [name, text] of about.headers) {
    if (isDropped(name) || (!isWrite && isFileHeader(name))) continue;
    const problem = !isHeaderName(name) ? 'has no usable name' : fits(text) ? textProblem(text) : TOO_LONG;
    if (problem === undefined) headers[name] = text;
    else if (exact && isEssential(name)) return { problem: `header ${name} ${problem}` };
    else warnings.push(`header ${shown(name)} ${problem} and was left out`);
  }
  return { headers };
}

const TOO_LONG = `is longer than ${HEADER_LIMIT} bytes, which existing readers do not survive`;

const textProblem = (text: string): string | undefined =>
  hasLoneSurrogate(text) || text.includes('\0') ? 'is not text' : undefined;

/** The change as headers, and the other half of a rename where it can be written. */
function toldHeaders(announcement: Announcement, warnings: string[]): Record<string, string> {
  const headers = changeHeaders(announcement, announcement.change);
  const { from, to } = announcement.moved ?? {};
  // A name that cannot be announced was never announced: what is left is a plain post or a plain removal.
  if (from !== undefined && isInsidePath(from)) headers['oldname'] = from;
  else if (from !== undefined) warnings.push('oldname is not a path that can be announced and was left out');
  if (to !== undefined && isInsidePath(to)) headers['newname'] = to;
  else if (to !== undefined) warnings.push('newname is not a path that can be announced and was left out');
  return headers;
}
