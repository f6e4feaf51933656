import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { progressText, startProgress } from '../../src/cli/progress.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const now = { files: 30, blocks: 0, large: undefined, bytes: 3 * 1024 * 1024, failures: 2, left: 7 };

it('tells what was done, how fast, what is left and what failed', () => {
  expect(progressText(now, { time: 0, files: 10, bytes: 1024 * 1024 }, 2000)).toBe(
    '30 files  3.0 MiB  10 files/s  1.0 MiB/s  7 left in the queue  2 failures',
  );
  expect(progressText({ ...now, left: undefined }, { time: 0, files: 0, bytes: 0 }, 0)).not.toContain('left');
});

it('tells how far a file in blocks has come, whatever it is called', () => {
  const text = (name: string): string =>
    progressText({ ...now, large: { name, placed: 2, count: 3 } }, { time: 0, files: 0, bytes: 0 }, 1000);
  expect(text('large')).toBe(
    '30 files  3.0 MiB  large 66 % (2 of 3 blocks)  30 files/s  3.0 MiB/s  7 left in the queue  2 failures',
  );
  expect(text('\u001b[2Jbad')).toContain('  ?[2Jbad 66 %');
  expect(text('n'.repeat(300))).toContain(`  ${'n'.repeat(23)}… 66 %`);
});

const screen = () => {
  const written: string[] = [];
  const stream = {
    columns: 40,
    writableLength: 0,
    write: (text: string) => {
      written.push(text);
      return true;
    },
  };
  return {
    written,
    stream: stream as unknown as NodeJS.WriteStream,
    stall: () => (stream.writableLength = 1),
  };
};

it('draws in place, at once and five times a second, and never wider than the terminal', () => {
  const { written, stream } = screen();
  const drawing = startProgress(stream, () => now, performance.now());
  vi.advanceTimersByTime(1000);
  expect(written).toHaveLength(6);
  for (const text of written) {
    expect(text.startsWith('\r\u001b[K')).toBe(true);
    expect(text.slice(4)).toHaveLength(39);
  }
  drawing.end();
  vi.advanceTimersByTime(1000);
  expect(written.slice(6)).toEqual(['\r\u001b[K']);
});

it('makes room for other lines, once', () => {
  const { written, stream } = screen();
  const drawing = startProgress(stream, () => now, performance.now());
  vi.advanceTimersByTime(200);
  drawing.clear();
  drawing.clear();
  expect(written.slice(2)).toEqual(['\r\u001b[K']);
  drawing.end();
});

it('waits for a terminal that does not keep up', () => {
  const { written, stream, stall } = screen();
  stall();
  const drawing = startProgress(stream, () => now, performance.now());
  vi.advanceTimersByTime(5000);
  expect(written).toEqual([]);
  drawing.end();
});
