/** Announcements that are passed on: what goes in, and what has come out. */
import amqp from 'amqplib';
import { type Home, brokerOf, makeHome } from '../servers/programs.js';
import { type TestHost, type TestUser, eventually, testHost } from '../servers/rabbitmq.js';

export interface Scene {
  readonly host: TestHost;
  readonly feeder: TestUser;
  readonly home: Home;
  /** The broker as a line of a configuration has it. */
  readonly broker: string;
  /** Announces paths as one of several sources does, each with its own host and time; they are in the queues then. */
  readonly announce: (source: number, paths: readonly string[], exchange?: string) => Promise<void>;
  readonly remove: (source: number, path: string) => Promise<void>;
  /** Paths of what has come out since the last call, each as often as it came. */
  readonly passed: () => Promise<readonly string[]>;
  /** Bodies of what has come out since the last call. */
  readonly bodies: () => Promise<readonly string[]>;
  /** Waits until nothing is in a queue, and nothing in the hands of its reader. */
  readonly drained: (queue: string) => Promise<void>;
  readonly end: () => Promise<void>;
}

const OUT = 'q_out';

/** A pump with an exchange `xin` and a reader of `xout`. */
export async function openScene(given?: TestHost): Promise<Scene> {
  const host = given ?? (await testHost());
  const feeder = await host.user('feeder');
  const home = await makeHome(host, [feeder]);
  for (const exchange of ['xin', 'xout', `xs_${feeder.name}`]) await host.exchange(exchange);
  await host.queue(OUT, 'xout');
  const connection = await amqp.connect(host.url());
  const channel = await connection.createConfirmChannel();
  const publish = (exchange: string, body: string, headers: Record<string, string>): void => {
    channel.publish(exchange, 'v02.post.d', Buffer.from(body), { headers, contentType: 'text/plain' });
  };
  const bodies = async (): Promise<readonly string[]> =>
    (await host.messages(OUT)).map(({ content }) => content.toString());
  return {
    host,
    feeder,
    home,
    broker: brokerOf(host, feeder),
    announce: async (source, paths, exchange = 'xin') => {
      for (const path of paths) publish(exchange, bodyOf(source, path), headersOf(path));
      await channel.waitForConfirms();
    },
    remove: async (source, path) => {
      publish('xin', bodyOf(source, path), { sum: 'R,0', source: 'alice' });
      await channel.waitForConfirms();
    },
    passed: async () => (await bodies()).map((body) => body.split(' ')[2] ?? ''),
    bodies,
    drained: async (queue) => {
      // What the broker tells of messages in hand is up to half a second old, and more when it is busy.
      let quiet = 0;
      await eventually(
        `${queue} is empty`,
        async () => {
          const left = (await host.depth(queue)) + (await host.unacknowledged(queue));
          quiet = left === 0 ? quiet + 1 : 0;
          if (quiet > 0) await new Promise((resolve) => setTimeout(resolve, 700));
          return quiet > 2;
        },
        90_000,
      );
    },
    end: async () => {
      await connection.close();
      await home.remove();
      await host.remove();
    },
  };
}

const bodyOf = (source: number, path: string): string =>
  `2016012007000${source}.123 http://source${source}.example.org/ ${path}`;

/** A content that the name tells. */
export const headersOf = (path: string): Record<string, string> => ({
  parts: `1,${path.length},1,0,0`,
  sum: `d,${Buffer.from(path).toString('hex').padStart(32, '0').slice(-32)}`,
  source: 'alice',
});

export const pathsOf = (count: number, prefix = ''): readonly string[] =>
  Array.from({ length: count }, (_, number) => `/d/${prefix}${String(number).padStart(6, '0')}`);

export const sorted = (paths: readonly string[]): readonly string[] => [...paths].sort();
