import { expect, it } from 'vitest';
import type { ReceivedReport } from '../../../src/flow/item.js';
import { isSettled } from '../../../src/flow/outcome.js';
import { type ReportFilter, pickReport } from '../../../src/stage/door/pick-report.js';

const item = { report: { code: 404, user: 'bob', host: 'dl1.example.net' } } as unknown as ReceivedReport;
const everything: ReportFilter = { codes: [], users: [], hosts: [] };

const passes = async (filter: Partial<ReportFilter>): Promise<boolean> =>
  !isSettled(await pickReport({ ...everything, ...filter }).run(item, new AbortController().signal));

it('shows records by code, class of codes, user and host, and all where nothing is asked for', async () => {
  expect(await passes({})).toBe(true);
  expect(await passes({ codes: ['404'] })).toBe(true);
  expect(await passes({ codes: ['2xx', '4xx'] })).toBe(true);
  expect(await passes({ codes: ['2xx', '403'] })).toBe(false);
  expect(await passes({ users: ['eve', 'bob'] })).toBe(true);
  expect(await passes({ users: ['bo'] })).toBe(false);
  expect(await passes({ hosts: ['dl1'] })).toBe(true);
  expect(await passes({ hosts: ['dl1.example.net'] })).toBe(true);
  expect(await passes({ hosts: ['dl'] })).toBe(false);
  expect(await passes({ codes: ['4xx'], users: ['eve'] })).toBe(false);
});
