import type { Placed, ReceivedReport, Selected, Taken } from '../../flow/item.js';
import { type Stage, pass } from '../../flow/stage.js';
import type { Announcement } from '../../message/announcement.js';
import type { Report } from '../../message/report.js';
import { formatParts } from '../../message/parts.js';
import { formatSum } from '../../message/sum.js';
import { retrievalUrl } from '../../message/retrieval-url.js';
import { decodeRelPath } from '../../message/rel-path.js';

/** Writes one line to where the user reads; resolves when it is out. */
export type WriteLine = (line: string) => Promise<void>;

/** `outlet`: prints accepted announcements, as they would be posted, instead of posting them. */
export function print(
  write: WriteLine,
  form: 'json' | 'url',
): Stage<Selected & Partial<Pick<Placed, 'next'>>, Pick<Taken, 'result'>> {
  return {
    name: 'print',
    run: async ({ subject, next = subject }) => {
      await write(form === 'url' ? retrievalUrl(next.baseUrl, next.relPath) : json(plain(next)));
      return { result: { code: 201, text: 'Announced, not fetched' } };
    },
  };
}

/** One line of JSON; control characters that JSON leaves alone are escaped, for it may be read on a terminal. */
const json = (value: object): string =>
  JSON.stringify(value).replace(
    /[\u007f-\u009f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** An announcement as a plain object with the field names of the messages; no header can stand for another field. */
export function plain(announcement: Announcement): Record<string, unknown> {
  const { topic, pubTime, baseUrl, relPath, change, moved, headers } = announcement;
  return {
    ...Object.fromEntries(headers),
    topic,
    pub_time: pubTime,
    base_url: baseUrl,
    rel_path: relPath,
    change: change.kind,
    ...(change.kind === 'write' && change.sum !== undefined && { sum: formatSum(change.sum) }),
    ...(change.kind === 'write' && change.parts !== undefined && { parts: formatParts(change.parts) }),
    ...(change.kind === 'link' && { link: change.to }),
    ...(moved?.from !== undefined && { oldname: moved.from }),
    ...(moved?.to !== undefined && { newname: moved.to }),
  };
}

/** Prints delivery records: a JSON object a line, the URL that each is about, or the rows of a table. */
export function printReport(
  write: WriteLine,
  form: 'table' | 'json' | 'url',
  colour: (code: number, text: string) => string,
): Stage<ReceivedReport> {
  let headed = false;
  return {
    name: 'print',
    run: async (item) => {
      if (form === 'json') {
        await write(json(plainReport(item.report)));
        return pass;
      }
      if (form === 'url') {
        await write(printable(retrievalUrl(item.report.about.baseUrl, item.report.about.relPath)));
        return pass;
      }
      if (!headed) {
        headed = true;
        await write(row('POSTED (UTC)', 'CODE', 'SECONDS', 'WHO', 'WHAT', 'PATH'));
      }
      await write(reportRow(item.report, colour));
      return pass;
    },
  };
}

const plainReport = ({ about, code, text, host, user, elapsed }: Report): Record<string, unknown> => ({
  pub_time: about.pubTime,
  base_url: about.baseUrl,
  rel_path: about.relPath,
  code,
  text,
  host,
  user,
  elapsed,
  headers: Object.fromEntries(about.headers),
});

const row = (when: string, code: string, seconds: string, who: string, what: string, path: string): string =>
  `${when.padEnd(19)}  ${code.padEnd(4)}  ${seconds.padStart(8)}  ${who.padEnd(20)}  ${what.padEnd(16)}  ${path}`;

function reportRow(
  { about, code, text, host, user, elapsed }: Report,
  colour: (code: number, text: string) => string,
): string {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(about.pubTime) ?? [];
  const when = year === undefined ? about.pubTime : `${year}-${month}-${day} ${hour}:${minute}:${second}`;
  const who = printable(`${user}@${host}`);
  const path = printable(decodeRelPath(about.relPath));
  return colour(code, row(when, String(code), elapsed.toFixed(3), who, printable(text), path));
}

/** Names come from strangers: control characters must not reach a terminal. */
const printable = (text: string): string => text.replace(/\p{Cc}/gu, '?');
