import { contentAlgorithm } from '../../checksum/algorithms.js';
import type { Announcement } from '../../message/announcement.js';
import { targetRelPath } from '../../message/announcement.js';
import { type Parts, blockOf, parsePartName, partAlgorithm, partSuffix } from '../../message/parts.js';
import type { Sum } from '../../message/sum.js';

/** The sum that tells one content of a block from another, as the ledger keeps it; empty where none was announced. */
export const ledgerSum = (sum: Sum | undefined): string =>
  sum === undefined || sum.algorithm === 'z' || contentAlgorithm(sum) === undefined
    ? ''
    : `${sum.algorithm},${sum.value}`;

/** What the ledger keeps, as a sum again. */
export function sumOfLedger(text: string): Sum | undefined {
  const comma = text.indexOf(',');
  return comma < 0 ? undefined : { algorithm: text.slice(0, comma), value: text.slice(comma + 1) };
}

/** The announcement of another block of the same file. */
export function siblingOf(subject: Announcement, parts: Parts, number: number, sum: Sum | undefined) {
  const other = blockOf(parts, number);
  const named = parsePartName(subject.relPath);
  const algorithm = named?.algorithm ?? partAlgorithm(sum);
  const suffix = partSuffix(other, undefined)?.replace(/\.0\.Part$/u, `.${algorithm}.Part`) ?? '';
  const relPath = parts.method === 'p' ? targetRelPath(subject) + suffix : subject.relPath;
  return { ...subject, relPath, change: { kind: 'write', parts: other, sum } as const };
}
