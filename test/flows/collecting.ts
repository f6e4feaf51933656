/** A pump that takes in what one of its users has: alice, who has a web server and announces by hand. */
import { type Member, type Pump, makePump } from '../servers/pump.js';
import type { Reply, Site } from '../servers/sites.js';
import { encoded, md5, stamp, topicOf } from '../servers/station.js';

export interface Said {
  readonly content?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly exchange?: string;
  readonly base?: string;
  readonly date?: string;
  readonly body?: string;
}

export interface Collecting {
  readonly pump: Pump;
  readonly alice: Member;
  /** Alice's files, by path without leading slash, and her web server. */
  readonly files: Map<string, Reply>;
  readonly site: Site;
  /** Configures `from_alice`: her exchange is read into the tree of the day, and its queue is there before she posts. */
  readonly fromAlice: (...lines: string[]) => Promise<void>;
  /** Announces a path (no leading slash) by hand; by default a file on alice's server. */
  readonly say: (path: string, what?: Said) => Promise<void>;
  /** Runs a configuration until its queue is empty; what it said. All it announced and recorded has been heard then. */
  readonly collected: (configuration: string, ...words: string[]) => Promise<string>;
}

export const exchangeOf = ({ user }: Member): string => `xs_${user.name}`;

/** The directory of the day. */
export const today = (): string => new Date().toISOString().slice(0, 10).replaceAll('-', '');

export async function openCollecting(): Promise<Collecting> {
  const pump = await makePump();
  const alice = await pump.member('alice', 'source');
  const files = new Map<string, Reply>();
  const site = await pump.server(files);
  return {
    pump,
    alice,
    files,
    site,
    fromAlice: async (...lines) => {
      await pump.sarra('from_alice', [
        `exchange ${exchangeOf(alice)}`,
        'source_from_exchange on',
        'source_hosts 127.0.0.1',
        'directory ${PBD}/${YYYYMMDD}/${SOURCE}',
        ...lines,
        'accept .*',
      ]);
      await pump.setup('from_alice');
    },
    say: async (path, what = {}) => {
      const content = what.content ?? `content of ${path}`;
      if (!files.has(path)) files.set(path, Buffer.from(content));
      const parts = `1,${Buffer.byteLength(content)},1,0,0`;
      const all = { parts, sum: `d,${md5(content)}`, to_clusters: pump.name, ...what.headers };
      const headers = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      const body = what.body ?? `${what.date ?? stamp()} ${what.base ?? site.url} /${encoded(path)}`;
      await pump.host.publish(what.exchange ?? exchangeOf(alice), topicOf(path), body, headers);
    },
    collected: async (configuration, ...words) => {
      const ended = await pump.collect(configuration, ...words);
      await pump.public.settle();
      await pump.log.settle();
      return ended.stderr;
    },
  };
}
