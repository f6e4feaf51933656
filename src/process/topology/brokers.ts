import type { BrokerAddress, Publisher } from '../../broker/broker.js';
import { type BrokerConnection, type ConnectionStatus, connectBroker } from '../../broker/connection.js';
import { type QueueConsumer, openConsumer } from '../../broker/consumer.js';
import { type ConfirmedPublisher, openPublisher } from '../../broker/publisher.js';
import type { QueuePlan, RememberedBindings } from '../../broker/queue-plan.js';
import { openTopology, postExchange, routingExchange } from '../../broker/topology.js';
import type { Reporter } from '../../component/component.js';
import type { Config } from '../../config/config.js';
import type { Logger } from '../../logger.js';

type ReportRoute = Awaited<ReturnType<Reporter['route']>>;

/** What the connections of one process share. */
export interface BrokerOptions {
  readonly config: Config;
  /** Instance number, for the connection's name. */
  readonly instance: number;
  readonly version: string;
  readonly logger: Logger;
  readonly addressesOf: (urls: readonly string[]) => readonly BrokerAddress[];
}

export interface ConsumerWishes {
  readonly prefetch: number;
  readonly remembered: RememberedBindings | undefined;
}

/** The connections of one process: opened when first asked for, closed together. */
export interface Brokers {
  readonly consumer: (plan: QueuePlan, how: ConsumerWishes) => QueueConsumer;
  /** To the broker that we post to. */
  readonly publisher: () => ConfirmedPublisher;
  /** Records go to the broker that the announcements come from, over a connection of their own: a broker that
   * takes no messages for a while stops reading from whoever publishes, and acknowledgements must go on. */
  readonly reporter: () => Publisher;
  readonly consuming: () => BrokerConnection;
  readonly posting: () => BrokerConnection;
  readonly status: () => Readonly<Record<string, ConnectionStatus>>;
  readonly close: () => Promise<void>;
}

export function openBrokers(options: BrokerOptions): Brokers {
  const { config, logger } = options;
  const open = new Map<string, BrokerConnection>();

  const connection = (purpose: string, urls: readonly string[]): BrokerConnection => {
    const known = open.get(purpose);
    if (known !== undefined) return known;
    const name = config.name === undefined ? '' : `/${config.name}`;
    const made = connectBroker({
      addresses: options.addressesOf(urls),
      name: `${config.program}${name} ${options.instance} ${purpose}`,
      product: 'Sarracenia',
      version: options.version,
      ...(config.name !== undefined && { configuration: config.name }),
      tlsRigour: config.queue.tlsRigour === 'medium' ? 'normal' : config.queue.tlsRigour,
      log: logger,
    });
    open.set(purpose, made);
    return made;
  };

  const consuming = (): BrokerConnection => connection('consume', config.queue.broker);
  const posting = (): BrokerConnection => connection('post', config.posting.postBroker);

  // It ends with its connection.
  const publisherOn = (link: BrokerConnection): ConfirmedPublisher =>
    openPublisher({ connection: link, log: logger });

  return {
    consuming,
    posting,
    consumer: (plan, { prefetch, remembered }) =>
      openConsumer({
        connection: consuming(),
        plan,
        prefetch,
        ...(remembered !== undefined && { remembered }),
        log: logger,
      }),
    publisher: () => publisherOn(posting()),
    reporter: () => publisherOn(connection('record', config.queue.broker)),
    status: () => Object.fromEntries([...open].map(([purpose, link]) => [purpose, link.status()])),
    close: async () => {
      await Promise.all([...open.values()].map((link) => link.close()));
    },
  };
}

/** Decides where delivery records go: once, when the broker has been reached. */
export function reportRoute(
  brokers: Brokers,
  config: Config,
  user: string,
  isPumpUser: boolean,
): (stop: AbortSignal) => Promise<ReportRoute> {
  let route: ReportRoute | undefined;
  return async (stop) => {
    if (route !== undefined) return route;
    const dialect = await dialectOf(brokers, config, stop);
    const standard = isPumpUser ? routingExchange(dialect) : postExchange(user);
    route = { dialect, exchange: config.reporting.reportExchange ?? standard };
    return route;
  };
}

async function dialectOf(
  brokers: Brokers,
  { reporting }: Config,
  stop: AbortSignal,
): Promise<'log' | 'report'> {
  if (reporting.reportDialect !== 'auto') return reporting.reportDialect;
  const { exchangeExists } = openTopology(brokers.consuming());
  if (await exchangeExists(routingExchange('log'), stop)) return 'log';
  return (await exchangeExists(routingExchange('report'), stop)) ? 'report' : 'log';
}
