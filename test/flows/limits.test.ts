import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Member, Pump } from '../servers/pump.js';
import { eventually } from '../servers/rabbitmq.js';
import { type Collecting, openCollecting, today } from './collecting.js';

/* What a pump limits: who may read, how much a source may keep, how full the disk may be. Whole programs. */

let pump: Pump;
let alice: Member;
let fromAlice: Collecting['fromAlice'];
let say: (path: string, content?: string) => Promise<void>;
let collected: () => Promise<string>;

beforeEach(async () => {
  const collecting = await openCollecting();
  ({ pump, alice, fromAlice } = collecting);
  say = (path, content) => collecting.say(path, content === undefined ? {} : { content });
  collected = () => collecting.collected('from_alice');
});
afterEach(() => pump.end());

const treeOf = (member: Member): string => join(pump.tree, today(), member.user.name);

describe('who may read', () => {
  it('is known to the web server before the first file of each new directory is there', async () => {
    const seen = join(pump.tree, '..', 'seen');
    const plugin = join(pump.tree, '..', 'look.mjs');
    const htaccess = join(treeOf(alice), '.htaccess');
    // Asked when the data has come and the file has no name yet.
    writeFileSync(
      plugin,
      `import { appendFileSync, existsSync } from 'node:fs';
       export const on_part = () => {
         appendFileSync(${JSON.stringify(seen)}, existsSync(${JSON.stringify(htaccess)}) ? 'guarded ' : 'open ');
       };`,
    );
    await fromAlice('access ${SOURCE},pumpb', `on_part ${plugin}`);
    await say('dir/one');
    await collected();
    expect(readFileSync(htaccess, 'utf8')).toMatch(
      new RegExp(`^#.*\\nRequire user ${alice.user.name} pumpb\\n$`),
    );
    expect(existsSync(join(treeOf(alice), 'dir/one'))).toBe(true);
    // The day is cleaned away and begins anew.
    rmSync(join(pump.tree, today()), { recursive: true });
    await say('dir/two');
    await collected();
    expect(existsSync(htaccess)).toBe(true);
    expect(readFileSync(seen, 'utf8')).toBe('guarded guarded ');
    // Nobody writes over it, and it is announced to nobody.
    await say('.htaccess', 'Require all granted\n');
    await say('dir/.htaccess', 'Require all granted\n');
    await collected();
    expect(readFileSync(htaccess, 'utf8')).not.toContain('granted');
    expect(pump.public.all().filter(({ body }) => body.includes('.ht'))).toEqual([]);
    expect(pump.log.records().filter(({ path, code }) => path.includes('.ht') && code === 403)).toHaveLength(
      2,
    );
  });
});

describe('a plugin that holds', () => {
  it('makes the queue wait, which status tells, and it goes on by itself', async () => {
    const { home } = pump.feeder;
    const shut = join(pump.tree, '..', 'shut');
    const plugin = join(pump.tree, '..', 'hold.mjs');
    writeFileSync(shut, '');
    writeFileSync(
      plugin,
      `import { existsSync } from 'node:fs';
       export const on_message = () =>
         existsSync(${JSON.stringify(shut)}) ? { hold: { text: 'the archive is shut', seconds: 0.1 } } : true;`,
    );
    await fromAlice(`on_message ${plugin}`, 'instances 2');
    for (let number = 0; number < 40; number += 1) await say(`f${number}`);
    expect((await home.run('sr_sarra', ['start', 'from_alice'])).code).toBe(0);
    try {
      await eventually('status tells why', async () => {
        const { stdout } = await home.run('sr_sarra', ['--json', 'status', 'from_alice']);
        const [row] = JSON.parse(stdout) as { reason: string; balance: { done: number } | null }[];
        expect(row?.reason).toMatch(/^the queue waits: the archive is shut \(on_message .*hold\.mjs\)$/);
        expect(row?.balance?.done).toBe(0);
        return true;
      });
      expect(existsSync(treeOf(alice))).toBe(false);
      rmSync(shut);
      await eventually(
        'all are there',
        () => existsSync(join(treeOf(alice), 'f39')) && pump.public.all().length === 40,
      );
    } finally {
      await home.run('sr_sarra', ['stop', 'from_alice']);
    }
  });
});

describe('the quota of a source', () => {
  it('refuses what would be more, tells the source, and knows what is there and what went', async () => {
    const before = join(pump.tree, '20200101', alice.user.name, 'old');
    mkdirSync(dirname(before), { recursive: true });
    writeFileSync(before, Buffer.alloc(600));
    await fromAlice(`quota ${alice.user.name} 1000`);
    await say('first', 'x'.repeat(300));
    await collected();
    await say('second', 'x'.repeat(300));
    await collected();
    const refusal = pump.log.records().find(({ code }) => code === 403);
    expect(refusal?.path).toMatch(/second$/);
    expect(existsSync(join(treeOf(alice), 'second'))).toBe(false);
    // Somebody else cleans up; the next start counts.
    rmSync(before);
    await say('third', 'x'.repeat(300));
    await eventually('it is counted anew', async () => {
      await collected();
      if (existsSync(join(treeOf(alice), 'third'))) return true;
      await say('third', 'x'.repeat(300));
      return false;
    });
  });
});
