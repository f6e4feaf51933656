/** Hears what is published on an exchange: every message, as it was on the wire. */
import type { ConsumeMessage } from 'amqplib';
import { PATIENCE, type TestHost } from './rabbitmq.js';

/** A message with its text and its headers as they were sent. */
export interface Heard {
  readonly exchange: string;
  readonly topic: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly properties: {
    readonly content_type: unknown;
    readonly content_encoding: unknown;
    readonly delivery_mode: unknown;
  };
}

/** A delivery record, its fields taken from the right as every reader has to. */
export interface HeardRecord extends Heard {
  readonly date: string;
  readonly base: string;
  readonly path: string;
  readonly code: number;
  readonly host: string;
  readonly user: string;
  readonly elapsed: string;
  readonly message: string;
}

export interface Listener {
  readonly all: () => readonly Heard[];
  readonly records: () => readonly HeardRecord[];
  /** Resolves with the first message that `wanted` holds for, also one already heard; fails when patience is at its end. */
  readonly until: (what: string, wanted: (heard: Heard) => boolean) => Promise<Heard>;
  /** The first record that `wanted` holds for. */
  readonly record: (what: string, wanted: (record: HeardRecord) => boolean) => Promise<HeardRecord>;
  /** Resolves when so many messages have been heard. */
  readonly count: (wanted: number) => Promise<readonly Heard[]>;
  /** Takes in what is in the queue now: everything published before the call is in `all` afterwards. */
  readonly settle: () => Promise<void>;
}

const heardOf = ({ fields, content, properties }: ConsumeMessage): Heard => ({
  exchange: fields.exchange,
  topic: fields.routingKey,
  body: content.toString('utf8'),
  headers: properties.headers ?? {},
  properties: {
    content_type: properties.contentType as unknown,
    content_encoding: properties.contentEncoding as unknown,
    delivery_mode: properties.deliveryMode as unknown,
  },
});

/** Reads the fields of a record; throws when it has not seven of them. */
export function recordOf(heard: Heard): HeardRecord {
  const words = heard.body.split(' ');
  const [date, base, ...rest] = words;
  const [code, host, user, elapsed] = rest.splice(-4);
  if (date === undefined || base === undefined || elapsed === undefined) {
    throw new Error(`Not a delivery record: ${heard.topic} ${heard.body}`);
  }
  return {
    ...heard,
    date,
    base,
    path: rest.join(' '),
    code: Number(code),
    host: host ?? '',
    user: user ?? '',
    elapsed,
    message: String(heard.headers['message']),
  };
}

const marker = 'listener.marker';

/** Listens on an exchange from now on. */
export async function listen(host: TestHost, exchange: string, key = '#'): Promise<Listener> {
  const channel = await host.channel();
  const { queue } = await channel.assertQueue('', { durable: false, exclusive: true });
  await channel.bindQueue(queue, exchange, key);
  const heard: Heard[] = [];
  const waiting = new Set<() => void>();
  let marks = 0;
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      if (message.properties.type === marker) marks += 1;
      else heard.push(heardOf(message));
      for (const wake of [...waiting]) wake();
    },
    { noAck: true },
  );

  const when = async <T>(what: string, probe: () => T | undefined): Promise<T> => {
    let timer: NodeJS.Timeout | undefined;
    let wake: (() => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        wake = () => {
          const found = probe();
          if (found !== undefined) resolve(found);
        };
        waiting.add(wake);
        timer = setTimeout(() => {
          const list = heard.map(({ topic, body, headers }) => `${topic} ${body} ${JSON.stringify(headers)}`);
          reject(new Error(`Not heard on ${exchange}: ${what}. Heard:\n${list.join('\n')}`));
        }, PATIENCE);
        wake();
      });
    } finally {
      clearTimeout(timer);
      if (wake !== undefined) waiting.delete(wake);
    }
  };
  const isRecord = ({ headers }: Heard): boolean => headers['message'] !== undefined;
  const records = (): HeardRecord[] => heard.filter(isRecord).map(recordOf);

  return {
    all: () => heard,
    records,
    until: (what, wanted) => when(what, () => heard.find(wanted)),
    record: (what, wanted) => when(what, () => records().find(wanted)),
    count: (wanted) => when(`${wanted} messages`, () => (heard.length >= wanted ? [...heard] : undefined)),
    settle: async () => {
      const wanted = marks + 1;
      channel.sendToQueue(queue, Buffer.alloc(0), { type: marker });
      await when('its own marker', () => (marks >= wanted ? true : undefined));
    },
  };
}
