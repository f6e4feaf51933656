import { hasLoneSurrogate } from './rel-path.js';
import { HEADER_LIMIT } from './wire.js';

/** Headers that say what changed. They are read into the announcement's change and never kept as text. */
export interface ChangeHeaders {
  sum?: string;
  parts?: string;
  link?: string;
  oldname?: string;
  newname?: string;
}

/** The header table of a received message, sorted. */
export interface ReceivedHeaders {
  readonly change: ChangeHeaders;
  /** The `message` header: only records have one. */
  readonly message: string | undefined;
  readonly others: Map<string, string>;
  readonly warnings: string[];
}

/** Members of v03 messages that bridges leak into v02, and marks that were private to a program. */
const dropped: ReadonlySet<string> = new Set([
  'pubTime',
  'baseUrl',
  'relPath',
  'event',
  'size',
  'content',
  'identity',
  'integrity',
  'blocks',
  'fileOp',
  'filename',
  '_retry_tag_',
  'from_source',
  'message',
  '__proto__',
]);

/** Kept whatever their length: without them the message would mean something else. */
const essential: ReadonlySet<string> = new Set(['rename', 'source', 'from_cluster', 'to_clusters']);

/** Whether a text fits `limit` bytes of UTF-8; counts only when it has to. */
export const fits = (text: string, limit: number = HEADER_LIMIT): boolean =>
  text.length * 3 <= limit || (text.length <= limit && Buffer.byteLength(text) <= limit);

/** Whether a header must not be left out of a message for its length. */
export const isEssential = (name: string): boolean => essential.has(name);

/** Headers that are only ever written from the change itself. */
const isOfChange = (name: string): boolean =>
  name === 'sum' || name === 'parts' || name === 'link' || name === 'oldname' || name === 'newname';

/** Whether a header that stands among the others must never be sent. */
export const isDropped = (name: string): boolean => dropped.has(name) || isOfChange(name);

/**
 * A header value as text: numbers decimal, booleans true or false, bytes as UTF-8, tables as JSON. Undefined for
 * nothing, and for what cannot be written as text.
 */
export function headerText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return Number.isInteger(value) ? BigInt(value).toString() : String(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? undefined : tableText(value);
    default:
      return undefined;
  }
}

function tableText(table: object): string | undefined {
  try {
    if (table instanceof Uint8Array)
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(table);
    // Timestamps and the like of AMQP come as { '!': type, value }.
    if ('!' in table && 'value' in table && typeof table.value !== 'object') return headerText(table.value);
    const text: unknown = JSON.stringify(table);
    return typeof text === 'string' ? text : undefined;
  } catch {
    // Circular, too deep, or bytes that are no text: such a value cannot be forwarded.
    return undefined;
  }
}

/** Removes the `T` between day and time that v03 leaves in mtime and atime. */
const plainTime = (text: string): string =>
  text.charCodeAt(8) === 84 ? text.slice(0, 8) + text.slice(9) : text;

/** Sorts a header table; nothing is refused here. */
export function receiveHeaders(table: Readonly<Record<string, unknown>>): ReceivedHeaders {
  const change: ChangeHeaders = {};
  const others = new Map<string, string>();
  const warnings: string[] = [];
  let message: string | undefined;
  for (const name of Object.keys(table)) {
    const given = table[name];
    if (typeof given !== 'string' && dropped.has(name) && name !== 'message') continue;
    const text = typeof given === 'string' ? given : headerText(given);
    if (text === undefined) {
      if (given !== null && given !== undefined)
        warnings.push(`header ${shown(name)} is not text and was left out`);
      continue;
    }
    switch (name) {
      case 'sum':
      case 'parts':
      case 'link':
      case 'oldname':
      case 'newname':
        change[name] = text;
        break;
      case 'message':
        message = text;
        break;
      case 'mtime':
      case 'atime':
        keep(name, plainTime(text), others, warnings);
        break;
      default:
        if (!dropped.has(name)) keep(name, text, others, warnings);
    }
  }
  // Posters of 2016 write from_source where source was meant. Either is only a hint of the sender.
  const hint = headerText(table['from_source']);
  if (hint !== undefined && !others.has('source')) keep('source', hint, others, warnings);
  return { change, message, others, warnings };
}

function keep(name: string, text: string, others: Map<string, string>, warnings: string[]): void {
  if (!fits(text) && !essential.has(name)) {
    warnings.push(`header ${shown(name)} is longer than ${HEADER_LIMIT} bytes and was left out`);
  } else if (hasLoneSurrogate(text)) {
    warnings.push(`header ${shown(name)} is not valid UTF-8 and was left out`);
  } else {
    others.set(name, text);
  }
}

/** A name from outside in a log line: bounded, and without control characters. */
export const shown = (name: string): string =>
  JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);
