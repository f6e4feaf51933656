import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FatalError } from '../../src/errors.js';
import type { Arguments } from '../../src/config/arguments.js';
import { actionOf, readArguments } from '../../src/config/arguments.js';
import { components } from '../../src/config/components.js';
import type { ComponentName } from '../../src/config/option.js';

const read = (line: string, component: ComponentName = 'subscribe'): Arguments =>
  readArguments(line === '' ? [] : line.split(' '), components[component]);

/** Options as `keyword: words`. */
const options = (line: string, component?: ComponentName): string[] =>
  read(line, component).options.map(({ keyword, words }) => [`${keyword}:`, ...words].join(' '));

describe('options', () => {
  it.each([
    ['-bd /x --base_dir /y -base_dir=/z', ['bd: /x', 'base_dir: /y', 'base_dir: /z']],
    ['--mirror start c', ['mirror:']],
    ['--mirror off start c', ['mirror: off']],
    ['--mirror=off start c', ['mirror: off']],
    ['-o 1 -n 0 start c', ['o: 1', 'n: 0']],
    ['-nd start c', ['nd:']],
    ['-nd 10m start c', ['nd: 10m']],
    ['--statehost fqdn start c', ['statehost: fqdn']],
    ['--header a=b start c', ['header: a=b']],
    ['--header=a=b start c', ['header: a=b']],
    ['--accept .* start c', ['accept: .*']],
    ['--accept .* WHATFN start c', ['accept: .* WHATFN']],
    ['--reject .* start c', ['reject: .*']],
    ['--declare env A=b start c', ['declare: env A=b']],
    ['-ls_file_index -1 start c', ['ls_file_index: -1']],
    ['--no-download start c', ['no-download:']],
    ['-host h start c', ['host: h']],
  ])('%s', (line, expected) => {
    expect(options(line)).toEqual(expected);
  });

  it('path takes all words up to the next option', () => {
    expect(options('-c f -path a b -sum d', 'post')).toEqual(['path: a b', 'sum: d']);
    expect(read('-c f -p i,10M a b', 'post')).toMatchObject({ paths: ['a', 'b'] });
    expect(options('-p i,10M a b', 'post')).toEqual(['p: i,10M']);
  });

  it.each([
    ['--brokr x', /^command line: brokr: unknown option\. Did you mean --broker\?$/],
    ['--msg_total_interval 3', /unknown option/],
    ['--directory', /directory: a value is missing\. Write --directory VALUE/],
    ['--directory --mirror', /directory: a value is missing/],
    ['--move a', /move: two words are needed/],
    ['-a strat c', /strat: is no action\. Did you mean start\?/],
    ['strat c', /strat: is no action/],
    ['c', /c: an action is missing\. Write sr_subscribe start c/],
    ['show c d', /d: one word too many/],
    ['-b amqp://h start', /start: a broker was given and no configuration/],
    ['foreground', /foreground: nothing to run/],
    ['-c a -c b start', /named twice/],
  ])('%s is refused', (line, message) => {
    try {
      read(line);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(FatalError);
      expect((error as FatalError).exitCode).toBe(2);
      expect((error as FatalError).message).toMatch(message);
    }
  });
});

describe('roles', () => {
  it.each([
    ['start c', { action: 'start', configuration: 'c', warnings: [] }],
    [
      'c start',
      { action: 'start', configuration: 'c', warnings: ['the action comes first: sr_subscribe start c'] },
    ],
    ['start status', { action: 'start', configuration: 'status' }],
    ['status', { action: 'status', configuration: undefined }],
    ['-c c start', { action: 'start', configuration: 'c' }],
    ['-a start c', { action: 'start', configuration: 'c' }],
    ['add a b', { action: 'add', configuration: 'a', rest: ['b'] }],
    ['-b amqp://h foreground', { action: 'foreground', configuration: undefined }],
    ['-h', { help: true }],
    ['help', { help: true }],
    ['-V', { version: true }],
  ])('%s', (line, expected) => {
    expect(read(line)).toMatchObject(expected);
  });

  it('of a program that announces: paths, always', () => {
    expect(read('start c', 'post')).toMatchObject({
      action: 'foreground',
      configuration: undefined,
      paths: ['start', 'c'],
    });
    expect(read('-c c start d', 'post')).toMatchObject({ action: 'start', configuration: 'c', paths: ['d'] });
    expect(read('-c c d start', 'post')).toMatchObject({ action: 'foreground', paths: ['d', 'start'] });
    expect(read('-- -x --y', 'post').paths).toEqual(['-x', '--y']);
  });

  it('of a broker alone: the foreground', () => {
    expect(actionOf(read('-b amqp://h'))).toBe('foreground');
    expect(actionOf(read('stop c'))).toBe('stop');
  });
});

it('throws nothing but FatalError, whatever is given', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '-p',
      '--accept',
      '-c',
      '-a',
      'start',
      '--',
      '-',
      '--mirror',
      'off',
      '--declare',
      '-b=',
      '--=',
    ),
  );
  fc.assert(
    fc.property(fc.array(word), fc.constantFrom<ComponentName>('post', 'subscribe'), (words, component) => {
      try {
        const given = readArguments(words, components[component]);
        expect(given.options.every(({ words: taken }) => taken.every((one) => typeof one === 'string'))).toBe(
          true,
        );
      } catch (error) {
        expect(error).toBeInstanceOf(FatalError);
      }
    }),
  );
});
