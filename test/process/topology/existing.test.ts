import { expect, it } from 'vitest';
import { RetryableError } from '../../../src/errors.js';
import { existingExchange } from '../../../src/process/topology/existing.js';

const stop = new AbortController().signal;

it('chooses the first that exists, and the first of all where none does', async () => {
  const choose = existingExchange(async (name) => name === 'xreport');
  expect(await choose(['xlog', 'xreport'], stop)).toBe('xreport');
  expect(await choose(['xreport', 'xlog'], stop)).toBe('xreport');
  expect(await choose(['xl_a', 'xr_a'], stop)).toBe('xl_a');
});

it('asks once, however many want to know, and answers at once afterwards', async () => {
  const asked: string[] = [];
  const choose = existingExchange(async (name) => {
    asked.push(name);
    return true;
  });
  const answers = await Promise.all(
    Array.from({ length: 100 }, async () => choose(['xlog', 'xreport'], stop)),
  );
  expect(new Set(answers)).toEqual(new Set(['xlog']));
  expect(asked).toEqual(['xlog']);
  expect(choose(['xlog', 'xreport'], stop)).toBe('xlog');
});

it('asks again when the broker went away meanwhile, until it is stopped', async () => {
  let tries = 0;
  const choose = existingExchange(async () => {
    tries += 1;
    if (tries === 1) throw new RetryableError('lost');
    return true;
  });
  expect(await choose(['xlog', 'xreport'], stop)).toBe('xlog');
  const ended = existingExchange(() => Promise.reject(new RetryableError('lost')));
  expect(await ended(['xlog', 'xreport'], AbortSignal.abort())).toBe('xlog');
});
