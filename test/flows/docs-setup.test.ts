/**
 * Runs the commands of the guide that sets up a pump, in their order, in the home of the service account. Replaced, and
 * nothing else: the broker on its usual ports by one of this test.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { commandsOf, readPage } from '../docs/markdown.js';
import { openShell } from '../docs/shell.js';
import { makeHome } from '../servers/programs.js';
import { ownBroker, testHost } from '../servers/rabbitmq.js';

const everything = { configure: '.*', write: '.*', read: '.*' };

it('the commands that set up a pump do what they say', async () => {
  const guest = { name: 'guest', password: 'guest', tags: ['administrator'], permissions: everything };
  const broker = await ownBroker({ definitions: { users: [guest] } });
  const host = await testHost(broker, '/');
  const home = await makeHome(host, []);
  try {
    // What usually follows from the usual ports.
    await home.configure('..', 'sarra/audit', [`management http://127.0.0.1:${broker.managementPort}/`]);
    const shell = await openShell(home);
    const run = (command: string): Promise<string> => {
      const here = command
        .replace('init --cluster', `init --admin root --broker amqp://127.0.0.1:${broker.port}/ --cluster`)
        .replaceAll('~/.config', join(home.directory, 'config'));
      return shell(here).catch((thrown: unknown) => {
        const { stdout, stderr } = thrown as { stdout: string; stderr: string };
        // The account of this test stays undeclared, which every look tells.
        if (/^sr_audit .*foreground/u.test(command)) return stdout + stderr;
        throw thrown;
      });
    };
    const said = new Map<string, string>();
    const { blocks } = await readPage('docs/pump-setup.md');
    for (const block of blocks.filter(({ language, notRun }) => language === 'sh' && notRun === undefined))
      for (const command of commandsOf(block)) said.set(command, await run(command));

    expect(said.get('sr_pump init --cluster pumpa --dry_run')).toContain('+ user root, tag administrator');
    expect(said.get('sr_pump init --cluster pumpa')).toContain('the pump is ready');
    expect(said.get('sr_pump init --guest delete')).toContain('- user guest');
    expect(said.get('sr_pump user add carol --source')).toContain('source carol is ready');
    expect(said.get('sr_pump user list')).toMatch(/^carol +source +ready$/mu);
    expect(said.get('sr_pump user remove bob')).toContain('- user bob');
    expect(said.get('sr_audit --users foreground')).toContain('+ exchange xwinnow_radar');
    expect(said.get('sr_audit start pump')).toContain('started');
    expect(said.get('sr_audit status')).toContain('running');
    expect(said.get('sr_sarra show from_pumpb')).toMatch(/^post_base_dir \/data\/pub /mu);
    expect(said.size).toBeGreaterThan(17);
  } finally {
    await home.remove();
    await broker.discard();
  }
});
