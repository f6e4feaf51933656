import { describe, expect, it } from 'vitest';
import type { ParseContext, ValueType } from '../../src/config/option.js';
import * as special from '../../src/config/special-values.js';
import * as values from '../../src/config/values.js';

const secrets = new Map<string, string>();
const context: ParseContext = {
  component: 'subscribe',
  dialect2016: false,
  cwd: '/work',
  home: '/home/ann',
  feeder: 'amqps://feeder@pump.example.org/',
  keepSecret: (url, password) => secrets.set(url, password),
};

const parse = (type: ValueType<unknown>, line: string, changes: Partial<ParseContext> = {}): unknown => {
  const parsed = type.parse(line === '' ? [] : line.split(' '), { ...context, ...changes });
  return 'value' in parsed ? parsed.value : new Error(parsed.expects);
};

const wrong = expect.any(Error) as unknown;

/** Type, text, value. */
const table: [string, ValueType<unknown>, string, unknown][] = [
  ['boolean', values.boolean, '', true],
  ['boolean', values.boolean, 'TRUE', true],
  ['boolean', values.boolean, 'Yes', true],
  ['boolean', values.boolean, '1', true],
  ['boolean', values.boolean, 'off', false],
  ['boolean', values.boolean, 'perhaps', false],
  ['count', values.count(), '25', 25],
  ['count', values.count(1), '0', wrong],
  ['count', values.count(), '2.5', wrong],
  ['count', values.count(), '-1', wrong],
  ['count', values.count(-1000), '-1', -1],
  ['count', values.count(), '', wrong],
  ['days', values.days, '10d', 10],
  ['duration', values.duration, '90', 90],
  ['duration', values.duration, '1.5h', 5400],
  ['duration', values.duration, '2D', 172800],
  ['duration', values.duration, '1w', 604800],
  ['duration', values.duration, '.5', 0.5],
  ['duration', values.duration, '5 minutes', 5],
  ['duration', values.duration, '5min', wrong],
  ['duration', values.duration, '-5', wrong],
  ['lifetime', values.lifetime, 'none', undefined],
  ['lifetime', values.lifetime, '10', 10],
  ['size', values.size, '8k', 8192],
  ['size', values.size, '10MB', 10485760],
  ['size', values.size, '1g', 1073741824],
  ['size', values.size, '2T', 2199023255552],
  ['size', values.size, '1.5M', wrong],
  ['size', values.size, '999999999999T', wrong],
  ['rate', values.rate, '512', 512],
  ['rate', values.rate, '1M', 1024],
  ['mode', values.mode, '775', 0o775],
  ['mode', values.mode, '0600', 0o600],
  ['mode', values.mode, '789', wrong],
  ['list', values.list, 'a,b,,c', ['a', 'b', 'c']],
  ['list', values.list, 'a, b', ['a', 'b']],
  ['list', values.list, 'none', []],
  ['one of', values.oneOf('post', 'json'), 'JSON', 'json'],
  ['one of', values.oneOf('post', 'json'), 'xml', wrong],
  ['url', values.url, 'sftp://ann@host:22/x', 'sftp://ann@host:22/x'],
  ['url', values.url, 'none', undefined],
  ['url', values.url, 'host/path', wrong],
  ['url', values.url, 'http://', wrong],
  ['urls', values.urls, 'file:', ['file:']],
  ['urls', values.urls, 'http://a/,http://b/', ['http://a/', 'http://b/']],
  ['brokers', values.brokers, 'amqp://h', ['amqp://anonymous@h']],
  ['brokers', values.brokers, 'amqps://u@h/v,amqp://k@i', ['amqps://u@h/v', 'amqp://k@i']],
  ['brokers', values.brokers, 'http://h/', wrong],
  ['path', values.path, '~/data', '/home/ann/data'],
  ['path', values.path, '~ann/data', '~ann/data'],
  ['directory', values.directory, '/data//', '/data'],
  ['directory', values.directory, '/', '/'],
  ['directory', values.directory, 'None', undefined],
  ['paths', values.paths, '~/a b', ['/home/ann/a', 'b']],
  ['pair', values.pair, 'a b', ['a', 'b']],
  ['pair', values.pair, 'a', wrong],
  ['events', special.eventList, 'create|delete', ['create', 'delete']],
  ['events', special.eventList, 'created,IN_CLOSE_WRITE,follow', ['create', 'modify']],
  ['events', special.eventList, 'explode', wrong],
  ['events', special.eventList, 'constructor', wrong],
  ['inflight', special.inflight, '.tmp', '.tmp'],
  ['inflight', special.inflight, '.', '.'],
  ['inflight', special.inflight, '.part/', '.part/'],
  ['inflight', special.inflight, 'umask', 'umask'],
  ['inflight', special.inflight, 'off', undefined],
  ['inflight', special.inflight, '1m', 60],
  ['inflight', special.inflight, 'tmp', wrong],
  ['inflight', special.inflight, '../', wrong],
  ['inflight', special.inflight, '..', wrong],
  ['suppression', special.suppression, '', 300],
  ['suppression', special.suppression, 'off', 0],
  ['suppression', special.suppression, '10m', 600],
  ['suppression', special.suppression, 'often', wrong],
  ['statehost', special.hostState, '', 'short'],
  ['statehost', special.hostState, 'FQDN', 'fqdn'],
  ['statehost', special.hostState, 'no', undefined],
  ['statehost', special.hostState, 'maybe', wrong],
  ['level', special.level, 'WARNING', 'warning'],
  ['level', special.level, 'loud', wrong],
  ['sum', special.sum, 'z,d', 'z,d'],
  ['sum', special.sum, 'q', wrong],
  ['sum', special.sum, 'my_sum', 'my_sum'],
  ['parts', special.parts, 'i,10M', 10485760],
  ['parts', special.parts, '0', 0],
  ['parts', special.parts, 'x', wrong],
  ['filename', special.filename, 'WHATFN:TIME', 'WHATFN:TIME'],
  ['filename', special.filename, 'NONE', 'NONE'],
  ['filename', special.filename, 'None', undefined],
  ['filename', special.filename, 'DESTFN=', wrong],
  ['filename', special.filename, 'WHATEVER', wrong],
  ['filename', special.filename, 'rename=/x', wrong],
  ['strip', special.strip, '3', 3],
  ['header', special.headerChanges, 'a=b=c', [{ name: 'a', value: 'b=c' }]],
  ['header', special.headerChanges, 'a=None', [{ name: 'a', value: undefined }]],
  ['header', special.headerChanges, '=x', wrong],
  ['admin', special.administrator(values.url), 'root:pw', 'amqps://root@pump.example.org/'],
];

it.each(table)('%s: %#: "%s"', (_name, type, line, value) => {
  expect(parse(type, line)).toEqual(value);
});

describe('values that depend on their surroundings', () => {
  it('are minutes in the dialect of 2016', () => {
    expect(parse(values.lifetime, '10', { dialect2016: true })).toBe(600);
    expect(parse(values.lifetime, '10s', { dialect2016: true })).toBe(10);
  });

  it('differ by component', () => {
    expect(parse(special.suppression, 'on', { component: 'cpump' })).toBe(900);
    expect(parse(special.filename, 'rename=/x/', { component: 'poll' })).toBe('rename=/x/');
  });

  it('are a pattern where strip is no number', () => {
    expect(parse(special.strip, '.*model/')).toMatchObject({ source: '.*model/' });
  });
});

it('keeps passwords apart, whatever they hold', () => {
  expect(parse(values.brokers, 'amqp://u:a,b:c@h/')).toEqual(['amqp://u@h/']);
  expect(secrets.get('amqp://u@h/')).toBe('a,b:c');
  expect(parse(values.url, 'ftp://u:p@w@h/')).toBe('ftp://u@h/');
  expect(secrets.get('ftp://u@h/')).toBe('p@w');
});

it.each([
  [values.duration, 172800, '2d'],
  [values.duration, 90, '90'],
  [values.duration, 0, '0'],
  [values.size, 10485760, '10M'],
  [values.mode, 0o644, '0644'],
  [values.boolean, true, 'on'],
  [values.list, ['a', 'b'], 'a,b'],
  [values.lifetime, undefined, 'none'],
] as [ValueType<unknown>, unknown, string][])('%# is shown so that it reads back', (type, value, text) => {
  expect(type.show(value)).toBe(text);
  expect(parse(type, text)).toEqual(value);
});
