import { expect, it } from 'vitest';
import {
  deliveryFailedText,
  forbiddenText,
  malformedText,
  meaningOf,
  reportClass,
  reportCodes,
  reportTexts,
  transferFailedText,
  unknownSchemeText,
} from '../../src/message/report-codes.js';
import { fits } from '../../src/message/headers.js';

it('the table agrees with the classes', () => {
  for (const { code, class: of } of reportCodes.values()) expect(reportClass(code)).toBe(of);
  expect([...reportCodes.keys()]).toEqual([201, 203, 205, 304, 307, 403, 417, 496, 497, 499, 500, 503]);
});

it('codes of scripts have a class and a meaning too', () => {
  expect([reportClass(202), reportClass(399), reportClass(404), reportClass(999)]).toEqual([
    'done',
    'more to do',
    'refused',
    'failed',
  ]);
  expect(meaningOf(202)).toBe('defined by a script');
  expect(meaningOf(417)).toBe('the message breaks the format');
});

it('texts are what readers of the existing programs know, and fit a header', () => {
  expect(reportTexts.downloaded).toBe('Downloaded');
  expect(reportTexts.transformed).toBe('Non-Authoritative Information: transformed during download');
  expect(transferFailedText('http')).toBe('http download failed');
  expect(deliveryFailedText('sftp')).toBe('sftp delivery failed');
  expect(unknownSchemeText('gopher')).toBe('Service unavailable gopher');
  expect(forbiddenText('source')).toBe('Forbidden : message without source');
  expect(malformedText('no date')).toBe('Expectation Failed : no date');
  for (const text of Object.values(reportTexts)) expect(fits(text)).toBe(true);
});
