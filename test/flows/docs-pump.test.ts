/**
 * Runs the commands of the guide for those who run a pump, in their order, in the feeder's home. Replaced, and nothing
 * else: the pumps of the examples by real ones of this test, with their users, and the directories below `/data`.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { commandsOf, fileOf, readPage } from '../docs/markdown.js';
import { openShell } from '../docs/shell.js';
import { type Member, type Pump, makePump } from '../servers/pump.js';
import { eventually } from '../servers/rabbitmq.js';
import type { Reply, Site } from '../servers/sites.js';

let pump: Pump;
let other: Pump;
let alice: Member;
let files: Map<string, Reply>;
let site: Site;

beforeEach(async () => {
  pump = await makePump();
  other = await makePump({ name: 'pumpb' });
  alice = await pump.member('alice', 'source');
  files = new Map();
  site = await pump.server(files);
});
afterEach(async () => {
  await pump.end();
  await other.end();
});

/** What alice does on her own machine. */
async function alicePosts(path: string, content: string): Promise<void> {
  files.set(path, Buffer.from(content));
  const own = join(alice.home.directory, 'www');
  await mkdir(own, { recursive: true });
  await writeFile(join(own, path), content);
  const words = ['--post_broker', alice.broker, '--post_base_url', site.url, '--post_base_dir', own];
  const ended = await alice.home.run('sr_post', [...words, join(own, path)]);
  expect(ended.code, ended.stderr).toBe(0);
}

it('the commands of the guide for a pump do what it says', async () => {
  const { home } = pump.feeder;
  const link = await other.member('pumpa', 'subscriber');
  const relay = other.feeder;
  const urp = await pump.member('urp', 'source');
  await writeFile(
    join(home.configuration, 'credentials.conf'),
    [pump.host.url(pump.feeder.user), other.host.url(link.user), other.host.url(other.feeder.user), ''].join(
      '\n',
    ),
    { mode: 0o600 },
  );
  const here = (text: string): string =>
    text
      .replaceAll('amqps://feeder@pump.example.org', pump.feeder.broker)
      .replaceAll('amqps://pumpa@pump-b.example.org', link.broker)
      .replaceAll('amqps://relay@pump-b.example.org', relay.broker)
      .replaceAll('https://pump.example.org/', pump.site.url)
      .replaceAll('data.example.org', '127.0.0.1')
      .replaceAll('xs_alice', `xs_${alice.user.name}`)
      .replaceAll('xs_urp', `xs_${urp.user.name}`)
      .replaceAll('amqps://lab@lab.example.org', other.feeder.broker)
      .replaceAll('/data/', `${home.directory}/data/`);
  const shell = await openShell(home);
  const { blocks } = await readPage('docs/pump.md');
  for (const block of blocks) {
    const file = fileOf(block);
    if (file === undefined) continue;
    const [component = '', name = ''] = file.replace(/\.conf$/u, '').split('/');
    await home.configure(component, name, here(block.text).split('\n'));
  }
  const lines = blocks.find(({ text }) => text.startsWith('# log2clusters.conf'));
  await writeFile(join(home.configuration, 'log2clusters.conf'), here(lines?.text ?? ''));
  const run = (command: string): Promise<string> => shell(here(command));
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const arrives = (path: string): Promise<void> =>
    eventually(`${path} is in the tree`, async () =>
      readFile(join(home.directory, 'data/pub', path)).then(
        () => true,
        () => false,
      ),
    );
  const said = new Map<string, string>();
  try {
    for (const block of blocks.filter(({ language }) => language === 'sh')) {
      for (const command of commandsOf(block)) {
        if (command === 'sr_sarra --once foreground from_alice') await alicePosts('first.txt', 'once');
        said.set(command, await run(command));
        if (command === 'sr_sarra --once foreground from_alice')
          await arrives(`${day}/${alice.user.name}/first.txt`);
      }
    }
    expect(said.get('sr_sarra show from_alice')).toMatch(/^post_exchange xpublic +# preset$/mu);
    await alicePosts('second.txt', 'by the daemon');
    await arrives(`${day}/${alice.user.name}/second.txt`);
    const headers = { parts: '1,4,1,0,0', source: 'carol', from_cluster: 'pumpb', to_clusters: 'pumpc' };
    files.set('far/away', Buffer.from('data'));
    await other.host.publish('xpublic', 'v02.post.far', `20260101000000.000 ${site.url} /far/away`, headers);
    await arrives('far/away');
    await other.host.queue('q_lab', 'xfrom_pumpa');
    // Two machines of one source announce the same file.
    const twin = await pump.server(files);
    files.set('twin.txt', Buffer.from('twin'));
    const own = join(urp.home.directory, 'www');
    await mkdir(own);
    await writeFile(join(own, 'twin.txt'), 'twin');
    for (const { url } of [site, twin]) {
      const words = ['--post_broker', urp.broker, '--post_base_url', url, '--post_base_dir', own];
      expect((await urp.home.run('sr_post', [...words, own])).code).toBe(0);
    }
    await arrives(`${day}/${urp.user.name}/twin.txt`);
    const copyOf = (code: number) =>
      pump.log.record(`a record ${code}`, (one) => one.code === code && one.path.endsWith('/twin.txt'));
    await copyOf(304);
    await copyOf(201);
    await pump.public.count(4);
    await eventually('the laboratory knows of it', async () =>
      (await other.host.messages('q_lab')).some(({ content }) => content.toString().endsWith('/twin.txt')),
    );
    expect(said.get('sr_winnow status urp')).toMatch(/urp +running +2\/2/u);
    expect(said.get('sr_shovel --save --once foreground to_lab')).toMatch(/0 failures/u);
    expect(said.get('sr_sarra status from_pumpb')).toContain('running');
    const limited = said.get('sr_sarra --access alice,bob show from_alice');
    expect(limited).toMatch(/^accept .*, access alice,bob$/mu);
    expect(said.get('sr_sarra --free_space_min 1G show from_alice')).toMatch(
      /^free_space_min (?:1G|1073741824) /mu,
    );
    expect(said.get('sr_2xlog status')).toContain('running');
    expect(said.get('sr_log2clusters status pumpc')).toContain('running');
    expect(said.size).toBeGreaterThan(20);
    expect(said.get('sr start')).toMatch(/^10 started$/mu);
    expect(said.get("sr status 'sarra/*'")).toMatch(/sarra\/from_alice +running +1\/1/u);
    expect(said.get('sr sanity')).toBe('');
  } finally {
    await run('sr stop');
  }
});
