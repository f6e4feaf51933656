import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../../src/errors.js';
import { openLogFile } from '../../../src/process/log/log-file.js';

const DAY = 86_400_000;
let directory: string;
let time: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log file '));
  time = new Date(2026, 0, 20, 15, 30).getTime();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (interval = DAY, keep = 2) =>
  openLogFile({ path: join(directory, 'logs', 'a.log'), mode: 0o640, keep, interval, now: () => time });
const logs = (): string[] => readdirSync(join(directory, 'logs')).sort();
const text = (name = 'a.log'): string => readFileSync(join(directory, 'logs', name), 'utf8');

describe('a log file', () => {
  it('has the permissions asked for, whatever the umask, and is continued', () => {
    open().write('one\n');
    open().write('two\n');
    expect(text()).toBe('one\ntwo\n');
    expect(statSync(join(directory, 'logs', 'a.log')).mode & 0o777).toBe(0o640);
  });

  it('begins anew at midnight, is called after the day that ended, and only some are kept', () => {
    const log = open();
    log.write('on the 20th\n');
    for (const day of [21, 22, 23]) {
      time = new Date(2026, 0, day, 0, 0).getTime();
      log.write(`on the ${day}th\n`);
    }
    expect(logs()).toEqual(['a.log', 'a.log.2026-01-21', 'a.log.2026-01-22']);
    expect(text('a.log.2026-01-22')).toBe('on the 22th\n');
    expect(text()).toBe('on the 23th\n');
  });

  it('may begin anew more often, or never', () => {
    const hourly = open(3_600_000);
    hourly.write('one\n');
    time += 3_600_000;
    hourly.write('two\n');
    expect(logs()).toEqual(['a.log', 'a.log.2026-01-20_16-29-59']);
    const never = open(0);
    time += 100 * DAY;
    never.write('three\n');
    expect(text()).toBe('two\nthree\n');
  });

  it('is opened again when it was moved away', () => {
    const log = open();
    log.write('one\n');
    renameSync(join(directory, 'logs', 'a.log'), join(directory, 'moved'));
    log.write('two\n');
    log.reopen();
    log.write('three\n');
    expect(readFileSync(join(directory, 'moved'), 'utf8')).toBe('one\ntwo\n');
    expect(text()).toBe('three\n');
  });

  it('never stops the work: lines that cannot be written are counted', () => {
    const log = open();
    rmSync(join(directory, 'logs'), { recursive: true });
    time += DAY;
    // No directory to rotate in.
    log.write('lost\n');
    log.reopen();
    log.write('found\n');
    expect(text()).toBe('1 lines before this one could not be written\nfound\n');
  });

  it('that cannot be written at all ends the program', () => {
    expect(() =>
      openLogFile({ path: '/dev/null/a.log', mode: 0o600, keep: 1, interval: DAY, now: () => time }),
    ).toThrow(FatalError);
  });
});
