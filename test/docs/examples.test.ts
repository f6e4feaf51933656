import { readdirSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { componentNamed } from '../../src/component/all.js';
import type { Config } from '../../src/config/config.js';
import { parseCredentials } from '../../src/config/credentials.js';
import type { ComponentName } from '../../src/config/option.js';
import type { OptionName } from '../../src/config/options/index.js';
import { readConfig } from '../../src/config/read.js';
import { silentLogger } from '../../src/logger.js';
import { hookNamed } from '../../src/plugin/hooks.js';
import { loadPlugins } from '../../src/plugin/load.js';
import { refuseUnavailable } from '../../src/process/work/run.js';
import { packageDirectory } from './markdown.js';
import { targetIn } from './target-in.js';
import { typeProblems } from './type-check.js';

const examples = join(packageDirectory, 'config-examples');
const configurations: (readonly [component: ComponentName, name: string])[] = [];
for (const component of ['subscribe', 'post', 'sarra', 'sender', 'winnow', 'shovel', 'report'] as const) {
  for (const name of await readdir(join(examples, component))) configurations.push([component, name]);
}
/** A pump of which all configurations belong together, with what they take from the environment. */
const wholePump = join(examples, 'whole_pump');
const partsOfPump = (['post', 'sarra', 'subscribe', 'shovel'] as const).flatMap((component) =>
  readdirSync(join(wholePump, component)).map((name) => [component, name] as const),
);
const environment = { BROKER: '127.0.0.1:5672', WEB: 'http://127.0.0.1:8000', DATA: '/data' };
const pluginFiles = await readdir(join(examples, 'plugins'));

const read = (component: ComponentName, name: string, pump?: string): Config =>
  readConfig({
    component,
    configuration: join(pump ?? examples, component, name),
    directories: { configuration: pump ?? join(examples, 'nowhere') },
    environment: pump === undefined ? {} : environment,
    cwd: '/cwd',
    home: '/home/someone',
  });

let plugins: string;
beforeAll(async () => {
  plugins = await mkdtemp(join(tmpdir(), 'sarra-examples-'));
  for (const name of pluginFiles) {
    await copyFile(join(examples, 'plugins', name), join(plugins, name));
    // A clone may be group-writable, which would be refused.
    await chmod(join(plugins, name), 0o755);
  }
});
afterAll(async () => {
  await rm(plugins, { recursive: true, force: true });
});

const context = {
  logger: silentLogger,
  program: 'sr_subscribe',
  configuration: 'example',
  option: () => ['CYUL,CYOW'],
};
const load = (hook: string, name: string) =>
  loadPlugins([{ hook, name, where: 'test:1' }], { directories: [plugins], timeout: 10_000, context });

describe('configurations to copy', () => {
  it('exist for every program', () => {
    expect(new Set(configurations.map(([component]) => component))).toEqual(
      new Set(['subscribe', 'post', 'sarra', 'sender', 'winnow', 'shovel', 'report']),
    );
    expect(configurations.length).toBeGreaterThanOrEqual(10);
  });

  it.each(configurations)('%s/%s is read without a warning, and could be run', async (component, name) => {
    const config = read(component, name);
    expect(config.warnings.map(({ text }) => text)).toEqual([]);
    expect([...config.extended.keys()]).toEqual([]);
    const recipe = componentNamed(component);
    expect(recipe).toBeDefined();
    if (recipe !== undefined) refuseUnavailable(config, recipe);
    for (const option of Object.keys(recipe?.withoutEffect ?? {})) {
      const origin = config.origins.get(option as OptionName)?.origin.file;
      expect(['default', 'preset', undefined], option).toContain(origin);
    }
    const text = await readFile(join(examples, component, name), 'utf8');
    expect(text.split('\n').filter((line) => line.startsWith('#')).length).toBeGreaterThan(2);
  });

  it.each(partsOfPump)('whole_pump/%s/%s is read without a warning', async (component, name) => {
    const config = read(component, name, wholePump);
    expect(config.warnings.map(({ text }) => text)).toEqual([]);
    const recipe = componentNamed(component);
    if (recipe !== undefined) refuseUnavailable(config, recipe);
    const listed = await readFile(join(wholePump, 'README.md'), 'utf8');
    expect(listed).toContain(`](${component}/${name})`);
  });

  it('tell where the records about the data of other pumps go', async () => {
    const home = await mkdtemp(join(tmpdir(), 'sarra-examples-'));
    try {
      await copyFile(join(examples, 'log2clusters.conf'), join(home, 'log2clusters.conf'));
      await writeFile(join(home, 'admin.conf'), 'cluster pumpa\nfeeder amqps://feeder@pump.example.org\n');
      await mkdir(join(home, 'log2clusters'));
      for (const cluster of ['pumpb', 'pumpc']) {
        await writeFile(join(home, 'log2clusters', `${cluster}.conf`), '');
        const config = readConfig({
          component: 'log2clusters',
          configuration: cluster,
          directories: { configuration: home },
          environment: {},
          cwd: '/cwd',
          home: '/home/someone',
        });
        const { posting, selection, warnings } = config;
        expect([posting.postBroker, posting.postExchange, selection.to, warnings]).toEqual([
          ['amqps://pumpa@pump-b.example.org'],
          'xlog',
          [cluster],
          [],
        ]);
      }
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it('name plugins that come with them', async () => {
    const { plugins: named } = read('subscribe', 'trigger.conf');
    expect(named.onPart).toEqual(['check_csv.mjs']);
    expect(named.onFile).toContain('tell.sh');
    for (const name of ['check_csv.mjs', 'tell.sh']) expect(pluginFiles).toContain(name);
  });

  it.each([
    ['/model/reg/06/CMC_P012.grib2', '/data/grids/20260120/07/CMC_P012.grib2'],
    ['/model/reg/06/CMC_P012.grib2.tmp', undefined],
    ['/model/late/a.grib2', '/data/late/20260119/a.grib2'],
    ['/model/glb/12/wind.grib2', '/data/glb/12/wind.grib2'],
    ['/model/ens/a/b/m1.nc', '/data/ens/a/b/m1.nc'],
    ['/model/obs/x/y.csv', '/data/flat/model-obs-x-y.csv'],
    ['/model/other', undefined],
  ])('grids.conf takes %s to %s', async (path, arrives) => {
    const config = read('subscribe', 'grids.conf');
    expect(await targetIn(config, path, Date.parse('2026-01-20T07:00:00Z'))).toBe(arrives);
  });

  it('mirror.conf keeps the tree, and leaves out what is hidden', async () => {
    const config = read('subscribe', 'mirror.conf');
    expect(await targetIn(config, '/city/ottawa/today.txt', 0)).toBe('/data/mirror/city/ottawa/today.txt');
    expect(await targetIn(config, '/city/ottawa/.today', 0)).toBeUndefined();
  });

  it('are all listed in their README', async () => {
    const text = await readFile(join(examples, 'README.md'), 'utf8');
    const files = [
      ...configurations.map((pair) => pair.join('/')),
      ...pluginFiles.map((name) => `plugins/${name}`),
    ];
    expect(files.filter((file) => !text.includes(`](${file})`))).toEqual([]);
  });
});

describe('the example of credentials', () => {
  it('holds only entries that count', async () => {
    const file = join(examples, 'credentials.conf');
    const parsed = parseCredentials(await readFile(file, 'utf8'), {
      file,
      home: '/home/someone',
      keyFileProblem: () => undefined,
    });
    expect(parsed.errors).toEqual([]);
    expect(parsed.warnings).toEqual([]);
    expect(parsed.credentials.broker('amqps://alice@pump.example.org')).toMatchObject({
      user: 'alice',
      password: 'her@password',
    });
    expect(parsed.credentials.account('https://files.example.org/')).toMatchObject({ bearerToken: 'abc123' });
  });
});

describe('plugins to copy', () => {
  it('scripts are executable', async () => {
    for (const name of pluginFiles.filter((file) => file.endsWith('.sh'))) {
      expect((await stat(join(examples, 'plugins', name))).mode & 0o111, name).toBe(0o111);
    }
  });

  it.each(pluginFiles)('%s loads behind the hook its first lines name', async (name) => {
    const text = await readFile(join(examples, 'plugins', name), 'utf8');
    const [, hook = ''] = new RegExp(`(on_\\w+|plugin) ${name.replaceAll('.', '\\.')}`, 'u').exec(text) ?? [];
    expect(hook === 'plugin' || hookNamed(hook) !== undefined).toBe(true);
    await expect(load(hook, name)).resolves.toBeDefined();
  });

  it('check_csv.mjs refuses what is no table, and lets a table pass', async () => {
    const loaded = await load('on_part', 'check_csv.mjs');
    const [entry] = loaded.entries('on_part');
    const ask = (path: string, size: number) =>
      entry?.run({ path, size } as never, loaded.context(new AbortController().signal));
    await writeFile(join(plugins, 'good.csv'), 'time,value\n1,2\n');
    await writeFile(join(plugins, 'bad.csv'), '<html>\n');
    expect(await ask(join(plugins, 'good.csv'), 15)).toBe(true);
    expect(await ask(join(plugins, 'bad.csv'), 7)).toMatchObject({ reject: { code: 403 } });
    expect(await ask(join(plugins, 'empty.csv'), 0)).toMatchObject({ reject: { code: 403 } });
  });

  it('by_station.mjs keeps the stations of its option, each in its directory', async () => {
    const loaded = await load('plugin', 'by_station.mjs');
    const given = loaded.context(new AbortController().signal);
    for (const { run } of loaded.entries('on_start')) await run(given);
    const ask = (relPath: string) =>
      loaded.entries('on_message')[0]?.run({ announcement: { relPath } } as never, given);
    expect(await ask('/obs/CYUL.txt')).toEqual({ target: { directory: 'CYUL' } });
    expect(await ask('/obs/CYVR.txt')).toBe(false);
    expect(await ask('/obs/readme.md')).toBe(false);
  });

  it('are typed by the package itself', { timeout: 60_000 }, async () => {
    const modules = pluginFiles.filter((name) => name.endsWith('.mjs'));
    expect(modules.length).toBeGreaterThan(1);
    expect(typeProblems(modules.map((name) => resolve(examples, 'plugins', name)))).toEqual([]);
    const wrong = join(plugins, 'wrong.mjs');
    const type = "/** @type {import('sarracenia').Plugin['on_file']} */";
    await writeFile(wrong, `${type}\nexport const on_file = ({ pfad }) => pfad;\n`);
    expect(typeProblems([wrong]).join('\n')).toContain("'pfad' does not exist on type 'HookEvent'");
  });
});
