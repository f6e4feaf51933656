import type { Change, Envelope } from './announcement.js';
import { baseUrlProblem } from './retrieval-url.js';
import type { ChangeHeaders, ReceivedHeaders } from './headers.js';
import { type Moved, movedOf } from './moved.js';
import { parsePartName, parseParts, partTarget, type Parts } from './parts.js';
import { parsePubTime } from './pub-time.js';
import {
  climbs,
  decodeRelPath,
  endsInName,
  hasForbiddenCharacter,
  isInsidePath,
  linkedPath,
  pathTextProblem,
} from './rel-path.js';
import type { Report } from './report.js';
import { parseSum, type Sum } from './sum.js';
import { type Decoded, malformed, type Rejection } from './wire.js';

/*
 * The checks that every received message has to pass, in their order: the date, the base URL and the text of the
 * path (then a record can be sent about the message), whether the paths stay below the tree, the sum, the parts.
 * Both wire formats bring their fields here, so there is one place where a message is let in.
 */

/** The fields of a message, whatever format they came in. */
export interface Fields {
  readonly topic: string;
  readonly date: string;
  readonly baseUrl: string;
  /** In wire form: no spaces. */
  readonly relPath: string;
  readonly headers: ReceivedHeaders;
  /** The message has the marks of a program that puts paths of its own disk into oldname and newname. */
  readonly marked: boolean;
}

type Problem = { readonly problem: string };
const isProblem = (answer: object): answer is Problem => 'problem' in answer;

function envelopeOf(fields: Fields): Envelope | Rejection {
  const time = parsePubTime(fields.date);
  if (time === undefined) return malformed('the date cannot be read');
  const base = baseUrlProblem(fields.baseUrl);
  if (base !== undefined) return malformed(`the base URL ${base}`);
  const path = pathTextProblem(decodeRelPath(fields.relPath));
  if (path !== undefined) return malformed(`the path ${path}`);
  const { topic, baseUrl, relPath, headers } = fields;
  return { topic, pubTime: time.text, baseUrl, relPath, headers: headers.others };
}

const isRejection = (answer: Envelope | Rejection): answer is Rejection => 'kind' in answer;

/** Lets an announcement in, or says what is wrong with it. */
export function admitPost(fields: Fields): Decoded {
  const envelope = envelopeOf(fields);
  if (isRejection(envelope)) return envelope;
  const path = decodeRelPath(envelope.relPath);
  const { change: headers, warnings } = fields.headers;
  if (climbs(path)) return malformed('the path leaves the tree', envelope);
  const rename = envelope.headers.get('rename');
  if (rename !== undefined && !isInsidePath(decodeRelPath(rename))) {
    return malformed('the header rename is not a path below the tree', envelope);
  }
  const change = changeOf(envelope.relPath, headers);
  if (isProblem(change)) return malformed(change.problem, envelope);
  if (change.kind === 'write' && !endsInName(path)) return malformed('the path has no file name', envelope);
  const moved = movedOf(path, hardLinked(path, headers), fields.marked, warnings);
  const announcement =
    moved === undefined ? { change, ...envelope } : { change, moved: moved satisfies Moved, ...envelope };
  return { kind: 'post', announcement, warnings };
}

/** Decides what changed, from the algorithm of the sum and the headers that go with it. */
function changeOf(relPath: string, headers: ChangeHeaders): Change | Problem {
  const sum = headers.sum === undefined ? 'unknown' : parseSum(headers.sum);
  if (sum === 'malformed') return { problem: 'the header sum breaks the format' };
  switch (sum === 'unknown' ? valueless(headers.sum) : sum.algorithm) {
    case 'R':
    case 'r':
      return { kind: 'remove' };
    case 'm':
      return { kind: 'make-directory' };
    case 'L':
      return linkOf(headers.link);
    case 'l':
      // A hard link is a file like any other; where it was linked from is told as in a rename.
      return { kind: 'write', parts: undefined, sum: undefined };
    default:
      return writeOf(relPath, headers.parts, sum === 'unknown' ? undefined : sum);
  }
}

/** The letter of `R,` and its like, whose value nobody needs. */
const valueless = (sum: string | undefined): string =>
  sum !== undefined && sum.length === 2 && sum.endsWith(',') ? sum.charAt(0) : '';

function linkOf(to: string | undefined): Change | Problem {
  if (to === undefined || to === '') return { problem: 'the header link is missing' };
  return to.includes('\0') ? { problem: 'the header link holds a NUL' } : { kind: 'link', to };
}

function writeOf(relPath: string, header: string | undefined, sum: Sum | undefined): Change | Problem {
  const parts = header === undefined ? 'unknown' : parseParts(header);
  if (parts === 'malformed') return { problem: 'the header parts breaks the format' };
  if (parts === 'unknown') return { kind: 'write', parts: undefined, sum };
  return { kind: 'write', parts: relabelled(relPath, parts, sum), sum };
}

/** Pumps of 2016 announce stored part files with the label of a byte range: the name tells the truth. */
function relabelled(relPath: string, parts: Parts, sum: Sum | undefined): Parts {
  if (parts.method !== 'i' || parsePartName(relPath) === undefined) return parts;
  return partTarget(relPath, parts, sum) === undefined ? parts : { ...parts, method: 'p' };
}

/** For a hard link, the file it is linked to stands where a rename has its old name. */
function hardLinked(path: string, headers: ChangeHeaders): ChangeHeaders {
  const { sum, link } = headers;
  if (sum === undefined || !sum.startsWith('l,') || link === undefined || headers.oldname !== undefined) {
    return headers;
  }
  return { ...headers, oldname: linkedPath(path, link) };
}

/** The last four fields of a record. */
export interface Outcome {
  readonly code: number;
  readonly host: string;
  readonly user: string;
  readonly elapsed: number;
}

/**
 * Lets a record in. Nobody writes files because of one, so the path may be any text without control characters, and
 * a sum or parts that cannot be read only mean that the change is not known.
 */
export function admitReport(fields: Fields, outcome: Outcome): Decoded {
  const envelope = envelopeOf(fields);
  // Nothing is ever recorded about records.
  if (isRejection(envelope)) return envelope;
  const { change: headers, message = '', warnings } = fields.headers;
  if (hasForbiddenCharacter(outcome.host) || hasForbiddenCharacter(outcome.user)) {
    return malformed('host or user of the record holds a control character');
  }
  const change = changeOf(envelope.relPath, headers);
  const report = (about: Report['about']): Decoded => ({
    kind: 'report',
    report: { about, text: message, ...outcome },
  });
  if (isProblem(change)) return report(envelope);
  const moved = movedOf(decodeRelPath(envelope.relPath), headers, fields.marked, warnings);
  return report(moved === undefined ? { ...envelope, change } : { ...envelope, change, moved });
}
