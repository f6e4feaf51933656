import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { type Name, names } from '../options/lab.js';
import { type Bench, type ProgramCase, programCases } from '../options/program-cases.js';
import { brokerOf, makeHome } from '../servers/programs.js';
import { testHost } from '../servers/rabbitmq.js';

/* Options that only whole programs and a real broker can show; the rest is in test/options. */

async function openBench(): Promise<Bench & { readonly remove: () => Promise<void> }> {
  const host = await testHost();
  const user = await host.user('ann');
  const home = await makeHome(host, [user]);
  for (const exchange of ['xpublic', `xs_${user.name}`, `xr_${user.name}`]) await host.exchange(exchange);
  const file = join(home.directory, 'data.txt');
  await writeFile(file, 'data');
  await mkdir(join(home.directory, 'target'));
  const broker = brokerOf(host, user);
  const passing = [`broker ${broker}`, `post_broker ${broker}`, 'exchange xpublic', 'post_exchange xpassed'];
  const usual: Readonly<Record<Name, readonly string[]>> = {
    subscribe: [`broker ${broker}`, `directory ${join(home.directory, 'target')}`, 'accept .*'],
    sarra: [
      `broker ${broker}`,
      'exchange xpublic',
      `directory ${join(home.directory, 'target')}`,
      'drop_dir /',
      'post_base_url http://data.example.org/',
      'accept .*',
    ],
    sender: [
      `broker ${broker}`,
      'destination file:',
      'base_dir /',
      `directory ${join(home.directory, 'target')}`,
      'accept .*',
    ],
    winnow: passing,
    shovel: passing,
    report: [`broker ${broker}`, 'report_dialect report'],
    post: [`post_broker ${broker}`, 'post_base_url file:'],
    '2xlog': [],
    log2source: [],
    log2clusters: [],
  };
  return {
    host,
    user,
    home,
    file,
    configure: (name, ...lines) => home.configure(name, 'c', [...usual[name], ...lines]),
    remove: async () => {
      await home.remove();
      await host.remove();
    },
  };
}

/** What a supervisor does is the same whatever it supervises: of other programs some options show that it is asked. */
const enough: readonly string[] = ['instances', 'prefetch', 'reset', 'declare_exchange'];

/** What shows that an option is honoured, once where it shows several. */
function casesFor(name: Name): readonly (readonly [string, ProgramCase])[] {
  const options = new Map<ProgramCase, string[]>();
  for (const [option, work] of Object.entries(programCases[name]))
    if (
      process.env['SR_LONG'] !== undefined ||
      !['sarra', 'sender', 'winnow', 'shovel'].includes(name) ||
      enough.includes(option) ||
      programCases.subscribe[option] !== work
    )
      options.set(work, [...(options.get(work) ?? []), option]);
  return [...options].map(([work, shown]) => [shown.join(', '), work]);
}

describe.each(names)('%s honours', (name) => {
  it.each(casesFor(name))('%s', async (_option, work) => {
    const bench = await openBench();
    try {
      await work(bench, name);
    } finally {
      await bench.remove();
    }
  });
});
