import type { Announcement, Envelope } from './announcement.js';
import { admitPost, admitReport } from './admit.js';
import { baseUrlProblem } from './retrieval-url.js';
import { fits, headerText, receiveHeaders, type ReceivedHeaders, shown } from './headers.js';
import { parsePubTime } from './pub-time.js';
import { decodeRelPath, encodeRelPath, endsInName, hasForbiddenCharacter, isInsidePath } from './rel-path.js';
import type { Report } from './report.js';
import { sentHeaders } from './sent-headers.js';
import { cutTopic, POST_PREFIX, topicOf, topicType, withType } from './topic.js';
import { type Line, readLine, readOutcome, readPath, type ReadRecord } from './v02-body.js';
import {
  BODY_LIMIT,
  bodyText,
  type Decoded,
  HEADER_LIMIT,
  malformed,
  type RawMessage,
  type Rejection,
  type WireMessage,
} from './wire.js';

/** What a topic promises; `direct` when the message was put into a queue by name and its topic is to be rebuilt. */
function kindOf(topic: string, postPrefix: string | undefined): 'post' | 'record' | 'direct' | undefined {
  if (topic.startsWith('v02.')) {
    const type = topicType(topic);
    if (type !== undefined) return type === 'post' ? 'post' : 'record';
  }
  if (topic.startsWith('q_')) return 'direct';
  if (postPrefix === undefined || postPrefix === '') return undefined;
  return topic === postPrefix || topic.startsWith(`${postPrefix}.`) ? 'post' : undefined;
}

/**
 * Decodes a message of the v02 format. Never throws: what cannot be used is a Rejection.
 *
 * @param postPrefix a topic prefix of posts that does not begin with `v02.post`, when one is configured
 */
export function decodeV02(raw: RawMessage, postPrefix?: string): Decoded {
  const kind = kindOf(raw.topic, postPrefix);
  if (kind === undefined) return malformed('the topic is not one of a post or a record');
  const body = bodyText(raw.body);
  if ('kind' in body) return body;
  const { text } = body;
  const line = readLine(text);
  if (line === undefined) return malformed('the body has fewer than three fields');
  const headers = receiveHeaders(raw.headers);
  // A record about a file at the root is published under the topic of a post by one of the existing programs.
  const mayBeRecord = kind === 'record' || headers.message !== undefined;
  const record = mayBeRecord ? readOutcome(text, line.pathAt) : undefined;
  if (record !== undefined) return recordOf(raw.topic, kind, text, line, record, headers);
  if (kind === 'record') return malformed('the body is not one of a record');
  const relPath = readPath(text, line.pathAt);
  return admitPost({
    topic: kind === 'direct' ? topicOf(POST_PREFIX, decodeRelPath(relPath)).topic : raw.topic,
    date: line.date,
    baseUrl: line.baseUrl,
    relPath,
    headers,
    // The C program ends its bodies like this.
    marked: text.endsWith(' \n'),
  });
}

function recordOf(
  topic: string,
  kind: 'post' | 'record' | 'direct',
  text: string,
  line: Line,
  { outcome, pathEnd }: ReadRecord,
  headers: ReceivedHeaders,
): Decoded {
  const relPath = encodeRelPath(text.slice(line.pathAt, pathEnd));
  const direct = (): string => withType(topicOf(POST_PREFIX, decodeRelPath(relPath)).topic, 'log');
  return admitReport(
    {
      topic: kind === 'direct' ? direct() : topic,
      date: line.date,
      baseUrl: line.baseUrl,
      relPath,
      headers,
      marked: false,
    },
    outcome,
  );
}

/** What came of encoding: a message, or a Rejection because publishing it would hurt readers or name another file. */
export type Encoded =
  | { readonly kind: 'message'; readonly message: WireMessage; readonly warnings: readonly string[] }
  | Rejection;

/** The format has no word for the change (a directory was made): there is nothing to publish, and no error. */
export interface Nothing {
  readonly kind: 'nothing';
  readonly reason: string;
}

const refuse = (what: string): Rejection => malformed(`cannot publish the message: ${what}`);

const CONTENT_TYPE = 'text/plain';

/** What keeps date, base and path out of a one-line body, or undefined. */
function bodyProblem({ pubTime, baseUrl, relPath }: Envelope): string | undefined {
  if (parsePubTime(pubTime) === undefined) return 'its date is not one';
  const base = baseUrlProblem(baseUrl);
  if (base !== undefined) return `its base URL ${base}`;
  if (relPath === '') return 'its path is empty';
  if (relPath.includes(' ')) return 'its path holds a space that is not encoded';
  if (hasForbiddenCharacter(relPath)) {
    return `its path ${shown(relPath)} holds a line end, another control character, or is not valid UTF-8; rename the file`;
  }
  return undefined;
}

/** What in the paths of an announcement would make readers refuse it, or worse. */
function treeProblem({ relPath, change, headers }: Announcement): string | undefined {
  const path = decodeRelPath(relPath);
  if (!isInsidePath(path)) return `its path ${shown(relPath)} leaves the tree or is empty`;
  if (change.kind === 'write' && !endsInName(path)) return `its path ${shown(relPath)} has no file name`;
  if (change.kind === 'link' && change.to === '') return 'the link has no target';
  const rename = headers.get('rename');
  return rename === undefined || isInsidePath(decodeRelPath(rename))
    ? undefined
    : 'header rename leaves the tree';
}

/**
 * Encodes an announcement. It is refused when a name cannot be written in one line (line end, control character,
 * not UTF-8), or when an essential header (link, oldname, newname, rename, source, from_cluster, to_clusters) is
 * longer than 252 bytes; other headers that cannot be sent are left out with a warning.
 */
export function encodeAnnouncement(announcement: Announcement): Encoded | Nothing {
  if (announcement.change.kind === 'make-directory') {
    return { kind: 'nothing', reason: 'the format has no message for a directory that was made' };
  }
  const problem = bodyProblem(announcement) ?? treeProblem(announcement);
  if (problem !== undefined) return refuse(problem);
  const warnings: string[] = [];
  const found = sentHeaders(announcement, true, warnings);
  if ('problem' in found) return refuse(found.problem);
  const { topic, truncated } = cutTopic(announcement.topic);
  if (topic === '' || hasForbiddenCharacter(topic))
    return refuse('its topic is empty or holds a control character');
  if (truncated) warnings.push('the topic is too long and was cut');
  const body = Buffer.from(`${announcement.pubTime} ${announcement.baseUrl} ${announcement.relPath}`);
  if (body.length > BODY_LIMIT) return refuse(`its body is longer than ${BODY_LIMIT} bytes`);
  return {
    kind: 'message',
    message: { topic, headers: found.headers, body, contentType: CONTENT_TYPE },
    warnings,
  };
}

/** A field of a record is one word. */
const word = (text: string): string => {
  const clean = text.replace(/[\s\u0000-\u001f\u007f-\u009f\ud800-\udfff]+/g, '_');
  return clean === '' ? '-' : clean;
};

/** The text of a record: one line of at most 252 bytes. */
function messageText(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').replace(/[\ud800-\udfff]/gu, '\ufffd');
  if (fits(line)) return line;
  const bytes = Buffer.from(line);
  let end = HEADER_LIMIT;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The topic of a record about a message: its own with another second word; rebuilt where it is not one of v02. */
function reportTopic(about: Envelope, dialect: 'log' | 'report'): string {
  if (about.topic.startsWith('v02.') && topicType(about.topic) !== undefined) {
    const topic = withType(about.topic, dialect);
    if (!hasForbiddenCharacter(topic)) return topic;
  }
  return topicOf(`v02.${dialect}`, decodeRelPath(about.relPath)).topic;
}

/**
 * Encodes a delivery record: the headers of what it is about, and `message`. `dialect` chooses the second word of
 * the topic. Host and user become single words; the text is cut to what a header holds.
 */
export function encodeReport(report: Report, dialect: 'log' | 'report'): Encoded {
  const { about } = report;
  const problem = bodyProblem(about);
  if (problem !== undefined) return refuse(problem);
  const warnings: string[] = [];
  const found = sentHeaders(about, false, warnings);
  if ('problem' in found) return refuse(found.problem);
  const code = String(Math.trunc(report.code)).padStart(3, '0');
  if (!/^[0-9]{3}$/.test(code)) return refuse('the code of the record has not three digits');
  const elapsed = Number.isFinite(report.elapsed) && Math.abs(report.elapsed) < 1e15 ? report.elapsed : 0;
  const tail = `${code} ${word(report.host)} ${word(report.user)} ${elapsed.toFixed(6)}`;
  const body = Buffer.from(`${about.pubTime} ${about.baseUrl} ${about.relPath} ${tail}`);
  if (body.length > BODY_LIMIT) return refuse(`its body is longer than ${BODY_LIMIT} bytes`);
  found.headers['message'] = messageText(report.text);
  const topic = reportTopic(about, dialect);
  return {
    kind: 'message',
    message: { topic, headers: found.headers, body, contentType: CONTENT_TYPE },
    warnings,
  };
}

/** A received header table with every value as text, as retry lists keep it and routers forward it. */
export function stringHeaders(table: Readonly<Record<string, unknown>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of Object.keys(table)) {
    const text = headerText(table[name]);
    if (text !== undefined && name !== '__proto__') headers[name] = text;
  }
  return headers;
}
