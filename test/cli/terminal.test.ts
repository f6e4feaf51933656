import { PassThrough, Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { exitCodeOf, explain } from '../../src/cli/exit.js';
import { takeFlags } from '../../src/cli/flags.js';
import { openTerminal, wantsColour } from '../../src/cli/terminal.js';
import { FatalError, PermanentError, RetryableError } from '../../src/errors.js';

const asTerminal = (stream: Writable, isTTY: boolean): NodeJS.WriteStream =>
  Object.assign(stream, { isTTY }) as unknown as NodeJS.WriteStream;

const open = (
  isTTY: boolean,
  environment: Record<string, string> = {},
  stdout: Writable = new PassThrough(),
) =>
  openTerminal({
    stdout: asTerminal(stdout, isTTY),
    stderr: asTerminal(new PassThrough(), isTTY),
    environment,
  });

it('colours records by their code on a terminal, and nowhere else', () => {
  expect(open(true).colour(201, 'x')).toBe('\u001b[32mx\u001b[0m');
  expect(open(true).colour(499, 'x')).not.toBe(open(true).colour(503, 'x'));
  expect(open(false).colour(201, 'x')).toBe('x');
  expect(open(true, { NO_COLOR: '1' }).colour(201, 'x')).toBe('x');
  expect(open(true, { TERM: 'dumb' }).colour(201, 'x')).toBe('x');
  expect(wantsColour({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
});

it('is not left before the last complaint has been taken', async () => {
  let take: () => void = () => undefined;
  const slow = new Writable({ write: (_piece, _encoding, done) => void (take = done) });
  const terminal = openTerminal({
    stdout: asTerminal(new PassThrough(), false),
    stderr: asTerminal(slow, false),
    environment: {},
  });
  terminal.note('not posted: a\n');
  let isFlushed = false;
  const flushed = terminal.flushed().then(() => (isFlushed = true));
  await new Promise(setImmediate);
  expect(isFlushed).toBe(false);
  take();
  await new Promise(setImmediate);
  take();
  await flushed;
});

it('draws nothing where nobody is watching', () => {
  let looks = 0;
  open(false).progress(() => {
    looks += 1;
    return { files: 0, blocks: 0, large: undefined, bytes: 0, failures: 0, left: undefined };
  });
  expect(looks).toBe(0);
});

it('waits for a slow reader, and notices when it goes away', async () => {
  let finish: (error?: Error | null) => void = () => undefined;
  const slow = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => (finish = done) });
  const terminal = open(false, {}, slow);
  let isOut = false;
  const first = terminal.write('one').then(() => (isOut = true));
  await Promise.resolve();
  expect(isOut).toBe(false);
  finish();
  await first;
  const second = terminal.write('two');
  finish(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  await expect(second).rejects.toThrow(FatalError);
  expect(terminal.readerGone()).toBe(true);
  await expect(terminal.write('three')).rejects.toThrow('nobody reads');
  await terminal.flushed();
});

it('turns what was thrown into an exit code and a message', () => {
  expect(exitCodeOf(new FatalError('x', { exitCode: 2 }))).toBe(2);
  for (const thrown of [
    new FatalError('x'),
    new RetryableError('x'),
    new PermanentError(499, 'x'),
    'x',
    new Error('x'),
  ])
    expect(exitCodeOf(thrown)).toBe(1);
  expect(explain(new FatalError('just this'))).toBe('just this');
  expect(explain(new TypeError('bug'))).toMatch(/please report it: TypeError: bug\n +at /);
});

it('takes its own flags out of the words, as far as the end of options', () => {
  expect(takeFlags(['--json', 'status', '--', '--force', '--json'])).toEqual({
    json: true,
    force: false,
    words: ['status', '--', '--force', '--json'],
  });
});
