import type { Announcement } from '../../src/message/announcement.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.js';
import { createHolds } from '../../src/flow/holds.js';
import { silentLogger } from '../../src/logger.js';
import { type Hookable, hook } from '../../src/plugin/hook.js';
import type { HookAnswer, HookEvent, Plugin } from '../../src/plugin/plugin.js';
import { reportHook } from '../../src/plugin/report-hook.js';
import { retarget } from '../../src/plugin/retarget.js';
import { followTarget } from '../../src/stage/place/repost.js';
import { changed, endOf, gained, never, takenOf, targetIn, through } from '../stage/items.js';
import { announcement } from '../stage/placing.js';
import { pluginsOf } from './hooks.js';

const next = announcement('/pub/a/f');
const item: Hookable = {
  subject: announcement('a/f'),
  next,
  target: targetIn('/r', 'a/f'),
  inflight: { path: '/r/a/.f.inflight' },
};
/** Answers whatever an author may return, typed or not. */
const answering = (answer: unknown): Plugin => ({ on_message: () => answer as HookAnswer });
const ask = (...plugins: Plugin[]): ReturnType<typeof hook> => hook('on_message', pluginsOf(...plugins));

describe('hook', () => {
  it.each([undefined, null, true, Promise.resolve(true), Promise.resolve()])(
    'goes on with %s',
    async (answer) => {
      expect(await gained(ask(answering(answer)), item)).toEqual({});
    },
  );

  it('drops with false, and asks nobody else', async () => {
    let asked = false;
    const later: Plugin = { on_message: () => void (asked = true) };
    expect(await endOf(ask(answering(undefined), answering(false), later), item)).toBe(
      'dropped: on_message p1',
    );
    expect(asked).toBe(false);
  });

  it('refuses with the code and text of a rejection', async () => {
    expect(await endOf(ask(answering({ reject: { code: 451, text: 'virus' } })), item)).toBe(
      'refused 451: virus (on_message p0)',
    );
  });

  it('holds the queue, asks again, and takes what is answered then', async () => {
    const holds = createHolds(silentLogger, Date.now);
    const seen: (string | undefined)[] = [];
    const plugin = (last: unknown): Plugin => ({
      on_message: () => {
        seen.push(holds.reason());
        return (seen.length < 3 ? { hold: { text: 'shut', seconds: 0 } } : last) as HookAnswer;
      },
    });
    const asked = hook('on_message', { ...pluginsOf(plugin({ reject: { code: 451, text: 'no' } })), holds });
    expect(await endOf(asked, item)).toBe('refused 451: no (on_message p0)');
    expect(seen).toEqual([undefined, 'shut (on_message p0)', 'shut (on_message p0)']);
    expect(holds.reason()).toBeUndefined();
  });

  it.each([0, 42, 1000, 4.5, Number.NaN, '499', undefined])(
    'sends no record with a code of %s',
    async (code) => {
      expect(await endOf(ask(answering({ reject: { code, text: 'no' } })), item)).toMatch(/^refused 403/);
    },
  );

  it('fails when the plugin does, to be tried again', async () => {
    const broken = (thrown: unknown): Plugin => ({
      on_message: () => {
        throw thrown;
      },
    });
    expect(await endOf(ask(broken(new Error('bug'))), item)).toBe('failed: bug');
    expect(await endOf(ask(answering(Promise.reject(new Error('later')))), item)).toBe('failed: later');
    expect(await endOf(ask(broken(new RetryableError('busy'))), item)).toBe('failed: busy');
    expect(await endOf(ask(broken(new PermanentError(417, 'never'))), item)).toBe('refused 417: never');
  });

  it.each([
    7,
    'yes',
    { next: 5 },
    { next: { relPath: 5 } },
    { next: { headers: { x: 5 } } },
    { target: { name: 5 } },
    () => true,
  ])('takes %o for a fault of the plugin', async (answer) => {
    expect(await endOf(ask(answering(answer)), item)).toMatch(/^failed: on_message p0/);
  });

  it('shows each plugin what the ones before have changed', async () => {
    const seen: string[] = [];
    const rewriting: Plugin = {
      on_message: () => ({
        next: { baseUrl: 'http://new/', relPath: '/a file', headers: { source: null, added: 'yes' } },
        target: { directory: 'b', name: 'g' },
      }),
    };
    const looking: Plugin = { on_message: (event) => void seen.push(event.next.relPath, event.path ?? '') };
    const gain = await gained(ask(rewriting, looking), { ...item, inflight: { path: '/r/x' }, path: '' });
    expect(seen[0]).toBe('/a%20file');
    expect(gain.next).toMatchObject({ baseUrl: 'http://new/', relPath: '/a%20file' });
    expect([...gain.next.headers]).toEqual([['added', 'yes']]);
    expect(gain.target).toEqual(targetIn('/r', 'b/g'));
    expect(next.headers.get('source')).toBe('src1');
  });

  it('announces the place that a plugin chose, unless the plugin says otherwise', async () => {
    const repost = {
      transferred: true,
      baseUrls: ['http://pump/'],
      postBaseDir: '/r',
      topicPrefix: 'v02.post',
      receivedPrefix: 'v02.post',
    };
    const moving = { target: { directory: 'b c', name: 'g' } };
    const asked = (answer: object): Promise<{ next: Announcement }> =>
      gained(hook('on_message', pluginsOf({ on_message: () => answer }), followTarget(repost)), item);
    expect((await asked(moving)).next).toMatchObject({ relPath: '/b%20c/g', topic: 'v02.post.b%20c' });
    expect((await asked({ ...moving, next: { relPath: '/as/said' } })).next.relPath).toBe('/as/said');
  });

  it('changes the target only before the transfer', async () => {
    const plugins = pluginsOf({ on_part: () => ({ target: { name: 'other' } }) });
    expect((await gained(hook('on_part', plugins), item)).target).toEqual(item.target);
  });

  it('hands over what nobody can change', async () => {
    const writing: Plugin = {
      on_message: (event) => {
        (event as { path: string }).path = '/etc';
      },
    };
    expect(await endOf(ask(writing), item)).toMatch(/^failed/);
  });

  it('asks on_part about data that came, and on_file about files', async () => {
    const events: HookEvent[] = [];
    const plugins = pluginsOf({
      on_part: (event) => void events.push(event),
      on_file: (event) => void events.push(event),
    });
    const removal: Hookable = { subject: changed('a/f', { kind: 'remove' }), next, path: '/r/a/f' };
    const link: Hookable = { ...removal, subject: changed('a/f', { kind: 'link', to: 'x' }) };
    const present: Hookable = { subject: announcement('a/f'), next, path: '/r/a/f', repeated: true };
    for (const one of [removal, link])
      for (const name of ['on_part', 'on_file'] as const) await gained(hook(name, plugins), one);
    expect(events).toEqual([]);
    await gained(hook('on_part', plugins), present);
    await gained(hook('on_file', plugins), present);
    await gained(hook('on_part', plugins), item);
    expect(events.map(({ hook: name, path, repeated }) => [name, path, repeated])).toEqual([
      ['on_file', '/r/a/f', true],
      ['on_part', '/r/a/.f.inflight', false],
    ]);
  });

  it('holds an item as long as the plugin wants, and no longer than the program runs', async () => {
    const stop = new AbortController();
    let release: (() => void) | undefined;
    const holding: Plugin = { on_message: () => new Promise<void>((resolve) => (release = resolve)) };
    const held = gained(ask(holding), item);
    await new Promise(setImmediate);
    release?.();
    expect(await held).toEqual({});
    const forever = through(ask(holding), item, stop.signal);
    stop.abort();
    expect((await forever).outcome).toEqual({ kind: 'handed back' });
  });
});

describe('reportHook', () => {
  const report = { about: announcement('f'), code: 201, text: '', host: 'h', user: 'u', elapsed: 0 };
  const received = { ...takenOf(announcement('f')), report };
  it('drops with false, and lets the rest pass', async () => {
    expect(await endOf(reportHook(pluginsOf({ on_report: (one) => one.code !== 201 })), received)).toBe(
      'dropped: on_report p0',
    );
    expect(await endOf(reportHook(pluginsOf({ on_report: () => undefined })), received)).toBe('goes on');
    const hanging = pluginsOf({ on_report: () => new Promise<void>(() => undefined) });
    expect(await endOf(reportHook(hanging), received, AbortSignal.abort())).toBe('handed back');
  });
});

describe('retarget', () => {
  const target = targetIn('/r/root', 'a/f');
  it('takes absolute and relative directories below the root', () => {
    expect(retarget(target, { directory: '/r/root/b/c' }).path).toBe('/r/root/b/c/f');
    expect(retarget(target, { directory: 'b//c/./d/' }).directory).toBe('b/c/d');
    expect(retarget(target, { directory: '/r/root', name: 'g' })).toEqual(targetIn('/r/root', 'g'));
  });
  it.each([
    { directory: '/r/rootless' },
    { directory: '..' },
    { directory: 'a/../../b' },
    { directory: '/' },
    { name: '..' },
    { name: 'a/b' },
    { name: '' },
    { name: 'a\0b' },
    { directory: 'a\0' },
  ])('refuses %o', (change) => {
    expect(() => retarget(target, change)).toThrow(PermanentError);
  });
  it('leaves what was made for a source only by the directory that the configuration names', () => {
    const own = { ...targetIn('/r/root/day/alice', 'a/f'), within: '/r/root' };
    expect(retarget(own, { name: 'g' })).toEqual({
      ...targetIn('/r/root/day/alice', 'a/g'),
      within: '/r/root',
    });
    expect(retarget(own, { directory: 'b' })).toEqual({
      ...targetIn('/r/root/day/alice', 'b/f'),
      within: '/r/root',
    });
    expect(retarget(own, { directory: '/r/root/else' })).toEqual(targetIn('/r/root', 'else/f'));
    expect(() => retarget(own, { directory: '/r/other' })).toThrow(PermanentError);
  });
  it('never leads out of the root', () => {
    const element = fc.constantFrom('..', '.', '', 'a', '/', 'root', 'r');
    fc.assert(
      fc.property(
        fc.array(element, { maxLength: 6 }),
        fc.boolean(),
        fc.option(element, { nil: undefined }),
        (elements, absolute, name) => {
          const directory = (absolute ? '/r/root/' : '') + elements.join('/');
          try {
            const made = retarget(target, { directory, ...(name !== undefined && { name }) });
            expect(made.path.startsWith('/r/root/')).toBe(true);
            expect(made.path).not.toMatch(/(^|\/)\.\.(\/|$)|\/\/|\/$/);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(PermanentError);
          }
        },
      ),
    );
  });
});

it('runs without a plugin', async () => {
  expect(await gained(ask(), item, never())).toEqual({});
});
