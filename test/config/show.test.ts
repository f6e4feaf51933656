import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Config } from '../../src/config/config.js';
import { readConfig } from '../../src/config/read.js';
import { showConfig, showConfigAsJson } from '../../src/config/show.js';

const text = `broker amqps://u:geheim@h/
declare env FEED=amqps://x:geheim@y/
directory /d
strip 2
accept .*/a/.*  WHATFN
reject .*
api_password geheim
brokr amqps://v:geheim@h/
expire 2d
blocksize 10M
`;

let root = '';
let file = '';
let config: Config;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'show-'));
  mkdirSync(join(root, 'subscribe'));
  file = join(root, 'subscribe/c.conf');
  writeFileSync(file, text);
  config = readConfig({
    component: 'subscribe',
    configuration: 'c',
    directories: { configuration: root },
    environment: {},
    cwd: root,
  });
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

it('tells every value and where it was written', () => {
  const lines = showConfig(config).map((line) => line.replace(/ +# /, ' # '));
  expect(lines[0]).toBe(`# sr_subscribe c, ${file}`);
  expect(lines).toContain(`broker amqps://u@h/ # ${file}:1`);
  expect(lines).toContain(`expire 2d # ${file}:9`);
  expect(lines).toContain(`blocksize 10M # ${file}:10`);
  expect(lines).toContain('inflight .tmp # preset');
  expect(lines).toContain('prefetch 25 # default');
  expect(lines).toContain(
    `accept .*/a/.* # ${file}:5: directory /d, mirror off, strip 2, flatten /, filename WHATFN`,
  );
  expect(lines).toContain(`reject .* # ${file}:6`);
  expect(lines).toContain('# anything else is rejected');
  expect(lines).toContain('bind xpublic v02.post.#');
  expect(lines).toContain('queue q_u.sr_subscribe.c.RRRRRRRR.RRRRRRRR');
  expect(lines).toContain(`# ${file}:8: brokr: unknown option (broker?), kept for plugins`);
  expect(lines.join('\n')).not.toContain('destination none');
});

it('tells the same as JSON', () => {
  const shown = JSON.parse(showConfigAsJson(config)) as Record<string, unknown>;
  expect(shown).toMatchObject({
    component: 'subscribe',
    name: 'c',
    options: { expire: { value: '2d', origin: `${file}:9` } },
    rules: [{ verdict: 'accept', pattern: '.*/a/.*', directory: '/d', strip: 2 }, { verdict: 'reject' }],
    bindings: [{ exchange: 'xpublic', key: 'v02.post.#' }],
    unmatched: { accepted: false },
  });
});

it('tells no secret', () => {
  expect(showConfig(config).join('\n')).not.toContain('geheim');
  expect(showConfigAsJson(config)).not.toContain('geheim');
});
