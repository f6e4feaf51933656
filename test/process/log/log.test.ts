import { expect, it } from 'vitest';
import { formatLine } from '../../../src/process/log/log.js';

const line = (text: string, fields = {}): string => formatLine('info', 0, text, fields).slice(24);

it('what strangers wrote cannot look like a line of ours', () => {
  expect(line('a\r\n2026-01-01 00:00:00,000 [INFO] b')).toBe('[INFO] a | 2026-01-01 00:00:00,000 [INFO] b\n');
  expect(line('a', { path: 'x\ny', list: ['p\nq'] })).toBe('[INFO] a path=x | y list=["p\\nq"]\n');
});

it('nor move the cursor, clear the screen, or turn the text round', () => {
  expect(line('a\u001b[2Jb\0c\u009bd\u202ee\u2028f\u007f\tg')).toBe(
    '[INFO] a\\u001b[2Jb\\u0000c\\u009bd\\u202ee\\u2028f\\u007f\tg\n',
  );
});

it('nor make it a megabyte long', () => {
  const long = line('x'.repeat(1_000_000), { path: 'y'.repeat(1_000_000) });
  expect(long.length).toBeLessThan(21_000);
  expect(long).toContain('... (990000 characters more)');
});
