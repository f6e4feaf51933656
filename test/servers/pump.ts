/** A pump of its own: broker, exchanges, users with the permissions of their roles, a tree with a web server, the feeder's home. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { permissionsOf } from '../../src/pump/permissions.js';
import type { Role } from '../../src/pump/roles.js';
import type { PrivateBroker } from '../../src/quickstart/private-broker.js';
import { type Listener, listen } from './listener.js';
import { type Ended, type Home, brokerOf, makeHome } from './programs.js';
import { api, testHost, type TestHost, type TestUser } from './rabbitmq.js';
import { openSites, type Reply, type Site } from './sites.js';

/** Somebody with an account on the pump. */
export interface Member {
  readonly user: TestUser;
  readonly home: Home;
  /** `amqp://user@host:port/vhost` */
  readonly broker: string;
}

export interface Pump {
  /** Name of the cluster. */
  readonly name: string;
  readonly host: TestHost;
  readonly feeder: Member;
  /** The tree that is served, and its server. */
  readonly tree: string;
  readonly site: Site;
  readonly public: Listener;
  readonly log: Listener;
  /** Adds an account; a source is declared. */
  readonly member: (name: string, role: Role) => Promise<Member>;
  /** One more web server, with files of somebody else. */
  readonly server: (files: Pick<ReadonlyMap<string, Reply>, 'get'>) => Promise<Site>;
  /** Writes a configuration of sr_sarra that reads `broker` (the pump's own unless given). */
  readonly sarra: (name: string, lines: readonly string[], broker?: string) => Promise<string>;
  /** Runs it until its queue is empty. */
  readonly collect: (name: string, ...words: string[]) => Promise<Ended>;
  /** Makes its queue, bound, before the first message. */
  readonly setup: (name: string) => Promise<void>;
  readonly end: () => Promise<void>;
}

export interface PumpOptions {
  readonly name?: string;
  readonly broker?: PrivateBroker;
  /** Further lines of admin.conf. */
  readonly admin?: readonly string[];
}

export async function makePump({ name = 'pumpa', broker, admin = [] }: PumpOptions = {}): Promise<Pump> {
  const host = await testHost(broker);
  const account = await host.user('feeder', permissionsOf('feeder', 'feeder'));
  const home = await makeHome(host, [account]);
  const feeder: Member = { user: account, home, broker: brokerOf(host, account) };
  const tree = join(home.directory, 'pub');
  const sites = openSites();
  const site = await sites.open(async ({ path }) => readFile(join(tree, path)).catch(() => undefined));
  for (const exchange of ['xpublic', 'xlog']) await host.exchange(exchange);
  const homes: Home[] = [home];
  const declared: string[] = [];
  const writeAdmin = (): Promise<void> =>
    writeFile(
      join(home.configuration, 'admin.conf'),
      `${[`cluster ${name}`, `feeder ${feeder.broker}`, ...declared, ...admin].join('\n')}\n`,
    );
  await writeAdmin();

  return {
    name,
    host,
    feeder,
    tree,
    site,
    public: await listen(host, 'xpublic'),
    log: await listen(host, 'xlog'),
    member: async (wanted, role) => {
      const user = await host.user(wanted);
      await api(
        host.broker,
        'PUT',
        `permissions/${encodeURIComponent(host.vhost)}/${user.name}`,
        permissionsOf(user.name, role),
      );
      for (const exchange of [`xs_${user.name}`, `xl_${user.name}`]) await host.exchange(exchange);
      if (role === 'source') declared.push(`declare source ${user.name}`);
      else declared.push(`declare subscriber ${user.name}`);
      await writeAdmin();
      const own = await makeHome(host, [user]);
      homes.push(own);
      return { user, home: own, broker: brokerOf(host, user) };
    },
    server: (files) => sites.open(({ path }) => files.get(path.slice(1))),
    sarra: (configuration, lines, from = feeder.broker) =>
      home.configure('sarra', configuration, [
        `broker ${from}`,
        `post_base_dir ${tree}`,
        `post_base_url ${site.url}`,
        'report_dialect log',
        ...lines,
      ]),
    collect: async (configuration, ...words) =>
      home.run('sr_sarra', ['--once', ...words, 'foreground', configuration]),
    setup: async (configuration) => {
      const ended = await home.run('sr_sarra', ['setup', configuration]);
      if (ended.code !== 0) throw new Error(ended.stderr + ended.stdout);
    },
    end: async () => {
      for (const one of homes) await one.remove();
      await sites.stop();
      await host.remove();
    },
  };
}
