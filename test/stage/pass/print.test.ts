import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ReceivedReport, Selected } from '../../../src/flow/item.js';
import { print, printReport } from '../../../src/stage/pass/print.js';
import type { Announcement } from '../../../src/message/announcement.js';
import type { Report } from '../../../src/message/report.js';
import { gained, placedIn, takenOf, written } from '../items.js';
import { announcement } from '../placing.js';

const report: Report = {
  about: announcement('my%20file'),
  code: 304,
  text: 'not modified',
  host: 'h',
  user: 'u',
  elapsed: 1.25,
};
const received = (more: Partial<Report> = {}): ReceivedReport => ({
  ...takenOf(announcement('f')),
  report: { ...report, ...more },
});

async function rows(form: 'table' | 'json', ...reports: Partial<Report>[]): Promise<string[]> {
  const lines: string[] = [];
  const stage = printReport(
    async (line) => void lines.push(line),
    form,
    (code, text) => `${code}|${text}`,
  );
  for (const one of reports) await gained(stage, received(one));
  return lines;
}

async function printed(form: 'json' | 'url', subject: Announcement): Promise<string> {
  const lines: string[] = [];
  const item: Selected = placedIn('/r', 'f', subject);
  await gained(
    print(async (line) => void lines.push(line), form),
    item,
  );
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

it('prints a table with one heading', async () => {
  const lines = await rows('table', {}, {});
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^POSTED/);
  expect(lines[1]).toMatch(/^304\|2016-01-20 07:00:00 +304 +1\.250 +u@h +not modified +my file$/);
});

it('prints one JSON object a line', async () => {
  const [line = ''] = await rows('json', {});
  expect(JSON.parse(line)).toMatchObject({
    pub_time: '20160120070000.123',
    code: 304,
    text: 'not modified',
    elapsed: 1.25,
  });
});

it('prints the URL to fetch from', async () => {
  expect(await printed('url', announcement('a/my%20file', { baseUrl: 'http://h/x/' }))).toBe(
    'http://h/x/a/my%20file',
  );
});

it('prints an announcement with the names of the message, none of which a header can replace', async () => {
  const subject = written('f', 'x', {
    headers: new Map([
      ['rel_path', 'forged'],
      ['flow', 'exp'],
    ]),
  });
  expect(JSON.parse(await printed('json', subject))).toMatchObject({
    rel_path: 'f',
    flow: 'exp',
    change: 'write',
    parts: '1,1,1,0,0',
  });
});

it('lets no control character reach a terminal', async () => {
  const text = fc.string({ unit: 'binary' });
  await fc.assert(
    fc.asyncProperty(text, text, async (one, other) => {
      const odd = {
        text: one,
        user: other,
        host: one,
        about: announcement(other, { headers: new Map([['x', one]]) }),
      };
      const lines = [
        ...(await rows('table', odd)),
        ...(await rows('json', odd)),
        await printed('json', announcement('f', { headers: new Map([['x', other]]) })),
      ];
      for (const line of lines) expect(line).not.toMatch(/\p{Cc}/u);
    }),
    { numRuns: 300 },
  );
});
