import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../src/errors.js';
import { readArguments } from '../../src/config/arguments.js';
import { components } from '../../src/config/components.js';
import type { Config } from '../../src/config/config.js';
import type { ComponentName } from '../../src/config/option.js';
import type { ReadRequest } from '../../src/config/read.js';
import { readConfig } from '../../src/config/read.js';
import { applyDirective } from '../../src/config/reading/apply.js';
import { bindingKey } from '../../src/config/reading/bindings.js';
import { newSettings } from '../../src/config/reading/settings.js';
import type { Directive } from '../../src/config/syntax.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'config-'));
  mkdirSync(join(root, 'cwd'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function write(file: string, text: string): string {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const request = (component: ComponentName, configuration?: string): ReadRequest => ({
  component,
  configuration,
  directories: { configuration: root, site: join(root, 'site') },
  environment: {},
  cwd: join(root, 'cwd'),
  home: '/home/ann',
  hostname: 'node.example.org',
});

const broker = 'broker amqp://ann@h/\n';

const directive = (keyword: string, word: string, line: number): Directive => ({
  keyword,
  words: [word],
  origin: { file: 'c.conf', line },
});

/** Reads a text as a configuration, with a command line. */
function read(component: ComponentName, text: string, ...commandLine: string[]): Config {
  write(`${component}/c.conf`, text);
  const { options, paths } = readArguments(commandLine, components[component]);
  return readConfig({ ...request(component, 'c'), options, paths });
}

const texts = (config: Config): string => config.warnings.map(({ text }) => text).join('\n');

function failure(work: () => unknown): FatalError {
  try {
    work();
  } catch (error) {
    if (error instanceof FatalError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

describe('the reading order', () => {
  it('lets later places win: presets, general files, configuration, command line', () => {
    write('default.conf', 'inflight .a\nmirror on\nprefetch 1\nbatch 7\n');
    write('admin.conf', 'prefetch 2\n');
    write('subscribe.conf', 'prefetch 3\nbatch 8\n');
    const config = read('subscribe', `${broker}batch 9\nattempts 4\n`, '--attempts', '5');
    expect(config.transfer.inflight).toBe('.a');
    expect(config.unmatched.mirror).toBe(true);
    expect(config.queue.prefetch).toBe(3);
    expect(config.transfer.batch).toBe(9);
    expect(config.queue.attempts).toBe(5);
    expect(texts(config)).toContain('inflight: changes what is usual in sr_subscribe');
    expect(config.origins.get('batch')).toMatchObject({ origin: { line: 2 }, text: '9' });
    expect(config.origins.get('attempts')?.origin.file).toBe('command line');
    expect(config.origins.get('exchange')?.origin.file).toBe('preset');
  });

  it('finds a configuration here, by name, and at the site', () => {
    write('site/subscribe/s.conf', `${broker}prefetch 11\n`);
    write('subscribe/u.conf', `${broker}prefetch 12\n`);
    write('cwd/here', `${broker}prefetch 13\n`);
    const of = (name: string): number => readConfig(request('subscribe', name)).queue.prefetch;
    expect([of('s'), of('u'), of('u.conf'), of('here')]).toEqual([11, 12, 12, 13]);
  });

  it('reads users of 2016', () => {
    write('users.conf', 'alice source\nbob subscriber\n');
    expect(read('subscribe', broker).declared).toMatchObject({ sources: ['alice'], subscribers: ['bob'] });
  });
});

describe('include', () => {
  it('takes files in place, by pattern, nested', () => {
    write('subscribe/a1.inc', 'directory /a\ninclude deep/d\n');
    write('subscribe/deep/d', 'accept d.*\n');
    write('subscribe/a2.inc', 'directory /b\n');
    const config = read(
      'subscribe',
      `${broker}include a?.inc\naccept x.*\ninclude named\n`.replace('include named\n', ''),
    );
    expect(config.rules.map(({ directory, pattern }) => [pattern.source, directory])).toEqual([
      ['d.*', '/a'],
      ['x.*', '/b'],
    ]);
  });

  it('adds the suffix .inc', () => {
    write('subscribe/more.inc', 'prefetch 4\n');
    expect(read('subscribe', `${broker}config more\n`).queue.prefetch).toBe(4);
  });
});

describe('every error names place, option and remedy', () => {
  it.each([
    ['expire soon', /c\.conf:2: expire: "soon" is not usable\. It expects a number of seconds/],
    ['prefetch', /c\.conf:2: prefetch: a value is missing\. It expects a whole number/],
    ['reject (', /c\.conf:2: reject: .*\(/],
    ['accept', /c\.conf:2: accept: a pattern is missing/],
    ['accept .* all', /c\.conf:2: accept: "all" is no filename option\. Write WHATFN/],
    ['filename WHAT', /c\.conf:2: filename: "WHAT" is not usable/],
    ['inflight 30', /c\.conf:2: inflight: an age is for programs that announce/],
    ['strip (', /c\.conf:2: strip: /],
    ['include nothing', /c\.conf:2: include: no file nothing in .*\. Create it/],
    ['include http://h/x', /c\.conf:2: include: files are not fetched/],
    ['include c.conf', /c\.conf:2: include: .* includes itself\. Remove/],
    ['remote_config_url http://h/x', /c\.conf:2: remote_config_url: .*Copy the file/],
    ['declare user bob', /c\.conf:2: declare: "user" cannot be declared/],
    ['declare env X', /c\.conf:2: declare: .*Write declare env/],
    ['---', /c\.conf:2: syntax: .*Remove it/],
    ['directory a\0b', /c\.conf:2: directory: holds a NUL byte/],
    [
      'post_broker amqp://u:geheim@/',
      /c\.conf:2: post_broker: the value is not usable\. It expects a broker/,
    ],
    [
      'post_broker amqp://u@h',
      /c\.conf: post_exchange: is needed by sr_subscribe and not given\. Add a line/,
    ],
  ])('%j', (line, message) => {
    const error = failure(() => read('subscribe', `${broker}${line}\n`));
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('geheim');
    expect(error.exitCode).toBe(2);
  });

  it.each([
    ['sarra', `${broker}exchange x\naccept .*\n`, /c\.conf:3: accept: no directory is in force/],
    ['sarra', `${broker}exchange x\ndirectory /d\ndiscard on\n`, /c\.conf:4: discard: sr_sarra cannot/],
    ['sarra', broker, /exchange: is needed/],
    ['sender', broker, /destination: is needed/],
    ['subscribe', '', /broker: is needed/],
    ['post', 'post_base_url http://h/', /post_broker: is needed/],
    ['post', 'post_broker amqp://u@h', /post_base_url: is needed/],
  ] as [ComponentName, string, RegExp][])('%s %j', (component, text, message) => {
    expect(failure(() => read(component, text)).message).toMatch(message);
  });

  it('names a configuration that is not there, or disabled', () => {
    expect(failure(() => readConfig(request('subscribe', 'x'))).message).toMatch(
      /^x: configuration: no such file/,
    );
    write('subscribe/x.conf.off', '');
    expect(failure(() => readConfig(request('subscribe', 'x'))).message).toMatch(/enable x$/);
    expect(failure(() => readConfig(request('subscribe', 'http://h/x'))).message).toMatch(/not fetched/);
    expect(failure(() => readConfig(request('subscribe', 'x'.repeat(5000)))).exitCode).toBe(2);
  });

  it('includes that include each other', () => {
    write('subscribe/a.inc', 'include b.inc\n');
    const b = write('subscribe/b.inc', '\ninclude a.inc\n');
    expect(failure(() => read('subscribe', 'include a.inc')).message).toMatch(`${b}:2: include:`);
  });
});

describe('warnings', () => {
  it('tell place, nearest name and use', () => {
    const config = read('subscribe', `${broker}mirrror off\nblocksize 5\n`);
    expect(config.warnings.map(({ origin, text }) => [origin.line, text])).toEqual([
      [2, 'mirrror: unknown option (mirror?), kept for plugins'],
      [3, 'blocksize: no effect in sr_subscribe'],
    ]);
    expect(config.posting.blocksize).toBe(5);
  });

  it('pass over obsolete names', () => {
    expect(read('subscribe', `${broker}amqp-password x\n`).warnings).toEqual([]);
  });

  it('tell of short lives and foreign queue names', () => {
    const config = read('subscribe', `${broker}expire 60\nqueue_name mine\n`);
    expect(texts(config)).toMatch(/expire: .*60 s[^]*queue_name: does not begin with q_ann/);
  });
});

describe('substitution', () => {
  it('takes built-in names, options, declarations and environment in this order', () => {
    write(
      'subscribe/s.conf',
      `declare env E=declared\n${broker}exchange x_\${BROKER_USER}\nqueue_name q_ann.\${PROGRAM}.\${CONFIG}.\${exchange}.\${E}.\${F}.\${G}\nsource \${HOSTNAME}\ndirectory /\${YYYY}/\${RANDID}\n`,
    );
    const config = readConfig({
      ...request('subscribe', 's'),
      environment: { E: 'no', F: 'env', YYYY: 'no' },
    });
    expect(config.queueName).toEqual({ kind: 'fixed', name: 'q_ann.sr_subscribe.s.x_ann.declared.env.${G}' });
    expect(config.selection.source).toBe('node.example.org');
    expect(config.unmatched.directory).toMatch(/^\/\$\{YYYY\}\/[0-9a-f]{4}$/);
    expect(texts(config)).toContain('${G} has no value');
    expect(config.warnings).toHaveLength(1);
  });
});

describe('bindings', () => {
  it('encode blanks and hashes that are no wildcard', () => {
    expect(bindingKey('v02.post', '#')).toBe('v02.post.#');
    expect(bindingKey('v02.post', 'a b.#c.*.#')).toBe('v02.post.a%20b.%23c.*.#');
  });

  it('apply to the exchange and prefix before them', () => {
    const config = read(
      'shovel',
      `${broker}post_broker amqp://f@g/\nsubtopic late.#\nexchange a\nsubtopic b\ntopic_prefix v03.post\nsubtopic c\nexchange z\n`,
    );
    expect(config.bindings.map(({ exchange, key }) => [exchange, key])).toEqual([
      ['z', 'v03.post.late.#'],
      ['a', 'v03.post.b'],
      ['a', 'v03.post.c'],
    ]);
  });

  it('are none after subtopic None, and the suffix names the exchange', () => {
    expect(read('subscribe', `${broker}subtopic a\nsubtopic None\n`).bindings).toEqual([]);
    expect(read('subscribe', `${broker}exchange_suffix in\n`).bindings[0]?.exchange).toBe('xs_ann_in');
  });

  it('of reports take both spellings where nobody says', () => {
    const pairs = (text: string): string[] =>
      read('report', text).bindings.map(({ exchange, key, optional }) => `${exchange} ${key} ${optional}`);
    expect(pairs(broker)).toEqual([
      'xl_ann v02.log.# true',
      'xl_ann v02.report.# true',
      'xr_ann v02.log.# true',
      'xr_ann v02.report.# true',
    ]);
    expect(pairs(`${broker}feeder amqp://ann@h/\nreport_dialect log\n`)).toEqual(['xlog v02.log.# false']);
    expect(pairs(`${broker}exchange xl_ann\n`)).toEqual(['xl_ann v02.log.# false']);
  });
});

describe('defaults that follow from others', () => {
  it('of queues', () => {
    expect(read('subscribe', broker).queue).toMatchObject({ expire: 345600, retryTtl: 172800 });
    expect(read('subscribe', `${broker}expire none\n`).queue).toMatchObject({
      expire: undefined,
      retryTtl: 172800,
    });
    expect(read('subscribe', `${broker}queue_suffix s\n`).queueName).toEqual({
      kind: 'generated',
      prefix: 'q_ann.sr_subscribe.c.s',
    });
  });

  it('of posting', () => {
    const post = 'post_broker amqp://u@g:5673/v\n';
    const subscribe = read('subscribe', `${broker}${post}post_exchange x\n`);
    expect(subscribe.transfer.inflight).toBeUndefined();
    expect(subscribe.selection.to).toEqual(['g']);
    expect(subscribe.posting.postBaseUrl).toEqual(['file:']);
    expect(read('shovel', `${broker}${post}exchange x\n`).posting.postExchange).toBe('x');
    const sender = read('sender', `${broker}${post}destination sftp://u:pw@s/d\n`);
    expect(sender.posting).toMatchObject({ postExchange: 'xpublic', postBaseUrl: ['sftp://u@s/d'] });
    expect(texts(sender)).toContain('post_exchange: not given');
    expect(read('watch', `${post}post_base_url http://h/\n`).posting).toMatchObject({
      postExchange: 'xs_u',
      sleep: 0.1,
    });
  });

  it('of the feeder', () => {
    const feeder = 'feeder amqp://f@h/\n';
    expect(read('winnow', `${feeder}exchange a\npost_exchange b\n`)).toMatchObject({
      queue: { broker: ['amqp://f@h/'] },
      posting: { postBroker: ['amqp://f@h/'], suppressDuplicates: 1200 },
      selection: { notifyOnly: true },
    });
    expect(read('sarra', `${feeder}${broker}exchange a\npost_base_dir /d\n`)).toMatchObject({
      posting: { postBroker: ['amqp://f@h/'], postExchange: 'xpublic' },
      unmatched: { directory: '/d', mirror: true },
    });
  });

  it('of reports and plugins', () => {
    expect(read('subscribe', broker).reporting.reportExchange).toBe('xs_ann');
    expect(read('subscribe', `${broker}feeder amqp://ann@h/\n`).reporting.reportExchange).toBeUndefined();
    const hooks = read(
      'subscribe',
      `${broker}suppress_duplicates on\non_hb mine\non_file None\non_file a\n`,
    ).plugins;
    expect(hooks.onHeartbeat).toEqual(['hb_log', 'hb_memory', 'hb_cache', 'hb_retry', 'mine']);
    expect(hooks.onFile).toEqual(['a']);
    expect(read('subscribe', `${broker}discard\n`).transfer).toMatchObject({
      inplace: false,
      overwrite: true,
    });
  });

  it('that nothing can change', () => {
    const config = read('watch', 'post_broker amqp://u@g\npost_base_url http://h/\ninstances 3\n');
    expect(config.running.instances).toBe(1);
    expect(texts(config)).toContain('instances: always 1 in sr_watch, 3 is ignored');
  });
});

describe('the command line', () => {
  it('puts its rules first, all with its placement', () => {
    const config = read(
      'subscribe',
      `${broker}accept early.*\ndirectory /file\naccept late.*\n`,
      ...['--accept', 'mine.*', 'WHATFN', '-directory', '/mine', '--reject', 'not.*', '--mirror', 'on'],
    );
    expect(
      config.rules.map((rule) => [rule.pattern.source, rule.directory, rule.mirror, rule.filename]),
    ).toEqual([
      ['mine.*', '/mine', true, 'WHATFN'],
      ['not.*', '/mine', true, undefined],
      ['early.*', '/mine', true, undefined],
      ['late.*', '/file', true, undefined],
    ]);
  });

  it('lets an exchange hold for subtopics before it', () => {
    const bindings = (text: string, ...line: string[]): string[] =>
      read('subscribe', text, ...line).bindings.map(({ exchange, key }) => `${exchange} ${key}`);
    expect(bindings(broker, '-sub', 'a.#', '-ex', 'xs_bob')).toEqual(['xs_bob v02.post.a.#']);
    expect(bindings(`${broker}subtopic f\n`, '-ex', 'xs_bob')).toEqual(['xs_bob v02.post.f']);
  });

  it('makes an ad-hoc run, the same again for the same words', () => {
    const run = (...line: string[]): Config =>
      readConfig({ ...request('subscribe'), options: readArguments(line, components.subscribe).options });
    const config = run('-b', 'amqp://h', '-sub', 'a');
    expect(config).toMatchObject({ name: undefined, file: undefined, queue: { expire: 300 } });
    expect(config.queueName).toEqual({
      kind: 'generated',
      prefix: `q_anonymous.sr_subscribe.${config.stateName}`,
    });
    expect(run('-sub', 'a', '-b', 'amqp://h', '--prefetch', '3').stateName).toBe(config.stateName);
    expect(run('-sub', 'b', '-b', 'amqp://h').stateName).not.toBe(config.stateName);
    expect(failure(() => run('-sub', 'a')).message).toMatch(
      /^command line: broker: is needed.* Give --broker/,
    );
  });

  it('keeps passwords out of everything but the look-up', () => {
    const config = read('subscribe', '', '--broker', 'amqps://u:gehe,im@h/');
    expect(texts(config)).toContain('broker: a password on the command line is visible');
    expect(JSON.stringify([config, [...config.origins]])).not.toContain('gehe');
    expect(config.queue.broker).toEqual(['amqps://u@h/']);
    expect(config.withPassword('amqps://u@h/')).toBe('amqps://u:gehe,im@h/');
    expect(config.withPassword('amqps://v@h/')).toBe('amqps://v@h/');
  });
});

describe('announcing programs', () => {
  const head = 'post_broker amqp://u@g\n';

  it('put relative paths below post_base_dir', () => {
    const config = read('post', `${head}post_base_url http://h/\npost_base_dir /w\npath a /b\n`, 'c', 'd');
    expect(config.posting.path).toEqual(['/w/a', '/b', '/w/c', '/w/d']);
  });

  it('read -p as path or as the old parts', () => {
    const config = read('post', `${head}post_base_url http://h/\n`, '-p', 'i,10M', 'x');
    expect(config.posting).toMatchObject({ blocksize: 10485760, path: ['x'] });
    expect(read('post', `${head}post_base_url http://h/\n`, '-p', 'x', 'y').posting.path).toEqual(['x', 'y']);
  });

  it('understand 2016: broker, exchange, and the path in the URL', () => {
    const config = read('post', 'broker amqp://u@g\nexchange e\nurl http://h/d/x\ndocument_root /w\nto a\n');
    expect(config.posting).toMatchObject({
      postBroker: ['amqp://u@g'],
      postExchange: 'e',
      postBaseUrl: ['http://h/'],
      path: ['/w/d/x'],
    });
    expect(config.bindings).toEqual([]);
    expect(config.queueName).toBeUndefined();
  });
});

describe('2016 senders', () => {
  const head = `${broker}destination sftp://u@s/\nlock .tmp\n`;

  it('mirror below the root when there is nothing to accept', () => {
    const config = read('sender', `${head}post_document_root /r\ndirectory d\n`);
    expect(config.unmatched).toMatchObject({ directory: '/r', mirror: true });
  });

  it('put accepted files into the directory itself', () => {
    const config = read('sender', `${head}post_document_root /r\ndirectory d\naccept .*\n`);
    expect(config.rules[0]).toMatchObject({ directory: '/r/d', mirror: false });
  });
});

describe('a file that is not nice', () => {
  const fatal = (text: string): FatalError | undefined => {
    try {
      read('subscribe', text);
      return undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(FatalError);
      return error as FatalError;
    }
  };

  it('that includes itself, or another that includes it, is refused with its line', () => {
    write('subscribe/other.inc', 'include c.conf\n');
    for (const text of ['include c.conf\n', 'include other.inc\n'])
      expect(fatal(text)?.message).toMatch(/:\d+: /u);
  });

  it('that includes a thousand others one in another ends', () => {
    for (let number = 0; number < 1000; number += 1)
      write(`subscribe/${number}.inc`, `include ${number + 1}.inc\n`);
    write('subscribe/1000.inc', 'accept .*\n');
    expect(fatal('include 0.inc\n')?.message ?? 'read').toMatch(/:\d+: |^read$/u);
  });

  it.each([
    ['a line of a megabyte', `directory /${'x'.repeat(1_000_000)}\n`],
    ['a word of a megabyte', `${'x'.repeat(1_000_000)} y\n`],
    ['ten thousand lines', 'accept .*\n'.repeat(10_000)],
    ['NUL in a word', 'directory /a\0b\n'],
    ['NUL alone', '\0'],
    ['a variable in itself', `${'$'}{${'$'}{${'$'}{HOME}}}\n`.repeat(1000)],
    ['brackets without end', `accept ${'('.repeat(10_000)}\n`],
    ['braces without end', `directory ${'${'.repeat(10_000)}\n`],
  ])('%s is read or refused', (_name, text) => {
    const error = fatal(text);
    if (error !== undefined) {
      expect(error.exitCode).toBe(2);
      expect(error.message.length).toBeLessThan(5000);
    }
  });
});

describe('a file of very many lines', () => {
  const lines = 50_000;

  it('compiles a pattern once, however many rules have it', () => {
    const { rules } = read('subscribe', broker + 'accept .*x\nreject .*y\n'.repeat(lines));
    expect(rules).toHaveLength(2 * lines);
    expect(new Set(rules.map(({ pattern }) => pattern)).size).toBe(2);
  });

  it('lets a list grow in place, and copies no preset into it twice', () => {
    const settings = newSettings({
      facts: components.subscribe,
      program: 'sr_subscribe',
      name: 'c',
      file: undefined,
      environment: {},
      hostname: 'h',
      randomId: '0000',
      cwd: root,
      home: root,
    });
    const preset = settings.entries.get('on_heartbeat')?.value;
    const values = [1, 2, 3].map((line) => {
      applyDirective(settings, directive('on_heartbeat', `p${line}`, line), 'file');
      return settings.entries.get('on_heartbeat')?.value;
    });
    expect(values[1]).toBe(values[0]);
    expect(values[2]).toBe(values[0]);
    expect(values[0]).toEqual([...(preset as string[]), 'p1', 'p2', 'p3']);
    expect(components.subscribe.plugins.on_heartbeat ?? []).not.toContain('p1');
    applyDirective(settings, directive('on_heartbeat', 'None', 4), 'file');
    applyDirective(settings, directive('on_heartbeat', 'p5', 5), 'file');
    expect(settings.entries.get('on_heartbeat')?.value).toEqual(['p5']);
  });

  it('is read with its topics', () => {
    const text = Array.from({ length: lines }, (_, number) => `subtopic a${number}\n`).join('');
    expect(read('subscribe', broker + text).bindings).toHaveLength(lines);
  });

  it('that a few files include again and again is refused', () => {
    for (let number = 0; number < 20; number += 1)
      write(`subscribe/${number}.inc`, `include ${number + 1}.inc\n`.repeat(2));
    write('subscribe/20.inc', '\n');
    expect(failure(() => read('subscribe', `${broker}include 0.inc\n`)).message).toContain('more than 10000');
  });
});

it('throws nothing but FatalError, whatever is written', () => {
  const keyword = fc.constantFrom(
    'accept',
    'reject',
    'strip',
    'include',
    'broker',
    'header',
    'declare',
    'expire',
    'path',
    'admin',
    'subtopic',
    'events',
    '--',
    'plugin',
  );
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(keyword, fc.string()).map(([name, rest]) => `${name} ${rest}`),
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        read('subscribe', lines.join('\n'));
      } catch (error) {
        expect(error).toBeInstanceOf(FatalError);
        expect((error as FatalError).exitCode).toBe(2);
      }
    }),
    { numRuns: 200 },
  );
});

describe('a stored configuration that is not nice', () => {
  const stored = join(import.meta.dirname, '../fixtures/hostile/configurations');

  it.each(readdirSync(stored))('%s is read, or refused with its line', (name) => {
    mkdirSync(join(root, 'subscribe'));
    copyFileSync(join(stored, name), join(root, 'subscribe', name));
    try {
      readConfig(request('subscribe', name.replace(/\.conf$/, '')));
    } catch (error) {
      expect(error).toBeInstanceOf(FatalError);
      expect(error).toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/\.conf(:\d+)?: /) as unknown,
      });
    }
  });
});

describe('the state of an ad-hoc run', () => {
  const stateOf = (...words: string[]): string => {
    const given = [
      '--broker',
      'amqp://ann@h/',
      '--subtopic',
      'a.#',
      '--directory',
      '/d',
      ...words,
      'foreground',
    ];
    const { options } = readArguments(given, components.subscribe);
    return readConfig({ ...request('subscribe'), options }).stateName;
  };

  it('is found again by the same command, whatever it accepts', () => {
    expect(stateOf()).toMatch(/^adhoc-[0-9a-f]{12}$/);
    expect(stateOf('--accept', '.*x')).toBe(stateOf('--accept', '.*y'));
  });

  it('is another one for another directory, other topics, and for one that only looks', () => {
    const states = [
      stateOf(),
      stateOf('--directory', '/e'),
      stateOf('--subtopic', 'b.#'),
      stateOf('--notify_only', 'on'),
    ];
    expect(new Set(states).size).toBe(4);
  });
});
