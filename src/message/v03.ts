import { admitPost, admitReport, type Fields } from './admit.js';
import { type ChangeHeaders, headerText, receiveHeaders } from './headers.js';
import { encodeRelPath, linkedPath } from './rel-path.js';
import { bodyText, type Decoded, malformed, type RawMessage } from './wire.js';

/*
 * The later format: one JSON object, or the transitional array [pubTime, baseUrl, relPath, headers]. Its members
 * are translated into the headers of v02, so that all checks and decisions are made in one place.
 */

type Members = Readonly<Record<string, unknown>>;

const isTable = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The members of a body, the array form spread out; undefined when it is neither. */
function membersOf(json: unknown): Members | undefined {
  if (isTable(json)) return json;
  if (!Array.isArray(json) || json.length < 3) return undefined;
  const [pubTime, baseUrl, relPath, headers] = json as unknown[];
  return { ...(isTable(headers) ? headers : {}), pubTime, baseUrl, relPath };
}

/** Decodes a message of the v03 format. Never throws: what cannot be used is a Rejection. */
export function decodeV03(raw: RawMessage): Decoded {
  const body = bodyText(raw.body);
  if ('kind' in body) return body;
  let json: unknown;
  try {
    json = JSON.parse(body.text);
  } catch (thrown) {
    return malformed(`the body is not JSON: ${thrown instanceof Error ? thrown.name : 'unreadable'}`);
  }
  const members = membersOf(json);
  if (members === undefined) return malformed('the body is neither an object nor an array of fields');
  const { pubTime, baseUrl, relPath } = members;
  if (typeof pubTime !== 'string' || typeof baseUrl !== 'string' || typeof relPath !== 'string') {
    return malformed('pubTime, baseUrl or relPath is missing');
  }
  const headers = receiveHeaders(members);
  headers.others.delete('report');
  const fields: Fields = {
    topic: raw.topic,
    date: pubTime,
    baseUrl,
    relPath: encodeRelPath(relPath),
    headers,
    // The later programs leave out the leading slash, and announce paths of their own disk as old names.
    marked: !relPath.startsWith('/'),
  };
  const change = translate(members, relPath, headers.change);
  const translated = { ...fields, headers: { ...headers, change } };
  return members['report'] === undefined
    ? admitPost(translated)
    : reportOf(translated, members['report'], members['message']);
}

/** The change in the words of v02. Text no header can hold becomes a sum or parts that the checks refuse. */
function translate(members: Members, relPath: string, given: ChangeHeaders): ChangeHeaders {
  const change: ChangeHeaders = {};
  if (given.oldname !== undefined) change.oldname = given.oldname;
  if (given.newname !== undefined) change.newname = given.newname;
  const sum = sumText(members['identity'] ?? members['integrity']) ?? given.sum;
  const parts = blocksText(members['blocks'], members['size']) ?? given.parts;
  if (sum !== undefined) change.sum = sum;
  if (parts !== undefined) change.parts = parts;
  if (given.link !== undefined) change.link = given.link;
  return isTable(members['fileOp']) ? operate(members['fileOp'], relPath, change) : change;
}

/** Applies the operation that goes with, or stands in place of, the content. */
function operate(operation: Members, relPath: string, change: ChangeHeaders): ChangeHeaders {
  const oldname = headerText(operation['rename']);
  const moved = oldname === undefined ? change : { ...change, oldname };
  if (Object.hasOwn(operation, 'remove')) return { ...moved, sum: 'R,0' };
  if (Object.hasOwn(operation, 'link'))
    return { ...moved, sum: 'L,0', link: headerText(operation['link']) ?? '' };
  const linked = headerText(operation['hlink']);
  if (linked !== undefined) return { ...moved, oldname: linkedPath(relPath, linked) };
  if (Object.hasOwn(operation, 'directory')) return { ...moved, sum: 'm,0' };
  return moved;
}

/** A member that should be a number, as one. */
const numberOf = (value: unknown): number => Number(headerText(value) ?? Number.NaN);

function reportOf(fields: Fields, report: unknown, message: unknown): Decoded {
  if (!isTable(report)) return malformed('the member report is not an object');
  const code = numberOf(report['resultCode'] ?? report['code']);
  if (!Number.isInteger(code) || code < 100 || code > 999) return malformed('the record has no result code');
  const elapsed = numberOf(report['elapsedTime'] ?? 0);
  const text = headerText(message) ?? headerText(report['message']) ?? '';
  return admitReport(
    { ...fields, headers: { ...fields.headers, message: text } },
    {
      code,
      host: headerText(report['host']) ?? '',
      user: headerText(report['user']) ?? '',
      elapsed: Number.isFinite(elapsed) ? elapsed : 0,
    },
  );
}

/** A text that no parser of this format accepts: the checks then refuse the message. */
const UNREADABLE = '?';

/** Hex of a base64 digest; line breaks inside are ignored. */
function hexOf(base64: string): string {
  const compact = base64.replace(/\s+/g, '');
  return /^[A-Za-z0-9+/]*={0,2}$/.test(compact) ? Buffer.from(compact, 'base64').toString('hex') : UNREADABLE;
}

const letterOf = (method: string): string =>
  method === 'md5' ? 'd' : method === 'sha512' ? 's' : UNREADABLE;

/**
 * The sum header that says the same as a member `identity` or `integrity`; undefined when there is none, or an empty
 * one.
 */
function sumText(identity: unknown): string | undefined {
  if (identity === undefined || identity === null) return undefined;
  // Seen from the later Python: the option's own text instead of a table.
  if (typeof identity === 'string') return identity === '' ? undefined : sumOf(...splitOption(identity));
  if (!isTable(identity)) return UNREADABLE;
  const method = headerText(identity['method']);
  return method === undefined ? UNREADABLE : sumOf(method, headerText(identity['value']) ?? '');
}

function splitOption(option: string): [method: string, value: string] {
  const comma = option.indexOf(',');
  return comma < 0 ? [option, ''] : [option.slice(0, comma), option.slice(comma + 1)];
}

function sumOf(method: string, value: string): string {
  switch (method) {
    case 'md5':
      return `d,${hexOf(value)}`;
    case 'sha512':
      return `s,${hexOf(value)}`;
    case 'md5name':
      return `n,${hexOf(value)}`;
    case 'random':
      return `0,${value}`;
    case 'cod':
      return `z,${letterOf(value)}`;
    case 'arbitrary':
      return `a,${value}`;
    default:
      // One letter would be taken for an algorithm, or a change, of v02.
      return method.length < 2 ? UNREADABLE : `${method},${value.replace(/\s+/g, '')}`;
  }
}

/** A size as decimal digits, whatever its type. */
const sizeText = (value: unknown): string => headerText(value) ?? UNREADABLE;

/** The parts header that says the same as the members `blocks` and `size`; undefined when there is neither. */
function blocksText(blocks: unknown, size: unknown): string | undefined {
  if (isTable(blocks)) {
    const method =
      blocks['method'] === 'inplace' ? 'i' : blocks['method'] === 'partitioned' ? 'p' : UNREADABLE;
    const layout = isTable(blocks['manifest'])
      ? manifestText(blocks['size'], blocks['manifest'])
      : `${sizeText(blocks['size'])},${sizeText(blocks['count'])},${sizeText(blocks['remainder'])}`;
    return `${method},${layout},${sizeText(blocks['number'])}`;
  }
  if (blocks !== undefined && blocks !== null) return UNREADABLE;
  if (size === undefined || size === null || size === '') return undefined;
  return `1,${sizeText(size)},1,0,0`;
}

/** Block size, count and remainder from a list of all blocks: all but the last must be of the block size. */
function manifestText(blockSize: unknown, manifest: Members): string {
  const size = sizeText(blockSize);
  const count = Object.keys(manifest).length;
  let last = UNREADABLE;
  for (let number = 0; number < count; number += 1) {
    const block = manifest[String(number)];
    if (!isTable(block)) return UNREADABLE;
    last = sizeText(block['size']);
    if (number < count - 1 && last !== size) return UNREADABLE;
  }
  return `${size},${count},${last === size ? '0' : last}`;
}
