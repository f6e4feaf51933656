/** Somebody who posts: a tree of files, and a broker behind a proxy that can be taken away. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listen } from './listener.js';
import { type Home, brokerOf, makeHome } from './programs.js';
import { type Proxy, startProxy } from './proxy.js';
import { type TestHost, type TestUser, testHost } from './rabbitmq.js';

export interface Source {
  /** The programs reach it by way of the proxy, the test itself does not. */
  readonly host: TestHost;
  readonly proxy: Proxy;
  readonly user: TestUser;
  readonly home: Home;
  readonly tree: string;
  readonly exchange: string;
  /** Where to post: broker and exchange. */
  readonly options: readonly string[];
  /** The same, with the base of the tree, and more words. */
  readonly posting: (...more: string[]) => string[];
  /** Lines of a configuration that says the same. */
  readonly lines: readonly string[];
  /** Makes files whose content is their name; returns their paths. */
  readonly files: (...names: string[]) => Promise<string[]>;
  /** Names that were posted, in the order in which they arrived since the last call. */
  readonly arrived: () => Promise<string[]>;
  /** Open connections end, new ones are refused. */
  readonly brokerGoes: () => void;
  readonly brokerComes: () => void;
  readonly end: () => Promise<void>;
}

/** A virtual host, a home, and a tree of its own; on the shared broker unless another is given. */
export async function makeSource(broker?: Parameters<typeof testHost>[0]): Promise<Source> {
  const real = await testHost(broker);
  const proxy = await startProxy(real.broker.port);
  const host: TestHost = { ...real, url: (user) => real.url(user, proxy.port) };
  const user = await host.user('alice');
  const exchange = `xs_${user.name}`;
  await host.exchange(exchange);
  const heard = await listen(real, exchange);
  let told = 0;
  const home = await makeHome(host, [user]);
  const tree = join(home.directory, 'tree');
  await mkdir(tree);
  const address = brokerOf(host, user);
  const [url, options] = [
    'http://data.example.org/',
    ['--post_broker', address, '--post_exchange', exchange],
  ];
  return {
    host,
    proxy,
    user,
    home,
    tree,
    exchange,
    options,
    posting: (...more) => [...options, '--post_base_url', url, '--post_base_dir', tree, ...more],
    lines: [
      `post_broker ${address}`,
      `post_exchange ${exchange}`,
      `post_base_url ${url}`,
      `post_base_dir ${tree}`,
    ],
    files: async (...names) => {
      for (const name of names) await writeFile(join(tree, name), name);
      return names.map((name) => join(tree, name));
    },
    arrived: async () => {
      await heard.settle();
      const news = heard.all().slice(told);
      told += news.length;
      return news.map(({ body }) => body.split(' /')[1] ?? '');
    },
    brokerGoes: () => {
      proxy.refuse();
      proxy.cut();
    },
    brokerComes: () => proxy.accept(),
    end: async () => {
      await home.remove();
      await host.remove();
      await proxy.close();
    },
  };
}
