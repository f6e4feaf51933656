/** One attempt to open one connection to one address. */
import amqp from 'amqplib';
import type { ChannelModel, SocketOptions } from 'amqplib';
import type { BrokerAddress, TlsRigour } from './broker.js';
import { dialFailure } from './failures.js';
import type { DialFailure } from './failures.js';
import { gatherWrites } from './shortcuts.js';

export interface DialOptions {
  /** Shown in the broker's list of connections, e.g. `sr_subscribe/dd 01`. */
  readonly name: string;
  readonly product?: string;
  readonly version?: string;
  /** Name of the configuration. */
  readonly configuration?: string;
  readonly tlsRigour?: TlsRigour;
  /** PEM texts: further authorities to trust, and what we show when asked (login EXTERNAL). */
  readonly tls?: { readonly authority?: string; readonly certificate?: string; readonly key?: string };
  /** Seconds of silence after which each side probes the other; 20 unless given, 0 for none. */
  readonly heartbeat?: number;
  /** Milliseconds for name lookup, TCP, TLS and the login together; 15 seconds unless given. */
  readonly connectTimeout?: number;
}

/** An open connection, and the way to end it without asking the other side. */
export interface Dialled {
  readonly model: ChannelModel;
  readonly destroy: () => void;
}

function tlsOptions(address: BrokerAddress, options: DialOptions): SocketOptions {
  if (!address.tls) return {};
  const rigour = options.tlsRigour ?? 'normal';
  const files = options.tls ?? {};
  return {
    rejectUnauthorized: rigour !== 'lax',
    ...(rigour === 'lax' ? { checkServerIdentity: () => undefined } : {}),
    ...(rigour === 'strict' ? { minVersion: 'TLSv1.2' as const } : {}),
    ...(files.authority === undefined ? {} : { ca: files.authority }),
    ...(files.certificate === undefined ? {} : { cert: files.certificate }),
    ...(files.key === undefined ? {} : { key: files.key }),
  };
}

const loginOf = (address: BrokerAddress) => {
  if (address.login === 'EXTERNAL') return amqp.credentials.external();
  if (address.login === 'AMQPLAIN') return amqp.credentials.amqplain(address.user, address.password);
  return amqp.credentials.plain(address.user, address.password);
};

/** Opens a connection, or says why not. Never throws. */
export async function dial(
  address: BrokerAddress,
  options: DialOptions,
  stop: AbortSignal,
): Promise<Dialled | DialFailure> {
  const kill = new AbortController();
  const timeout = options.connectTimeout ?? 15_000;
  let late = false;
  const give = (): void => {
    kill.abort();
  };
  const timer = setTimeout(() => {
    late = true;
    give();
  }, timeout);
  stop.addEventListener('abort', give, { once: true });
  // The signal reaches net.Socket; it is the only way to end an attempt, or a connection that does not answer.
  const socket: SocketOptions & { signal: AbortSignal } = {
    signal: kill.signal,
    noDelay: true,
    keepAlive: true,
    credentials: loginOf(address),
    clientProperties: {
      connection_name: options.name,
      product: options.product ?? 'Sarracenia for Node',
      version: options.version ?? '',
      ...(options.configuration === undefined ? {} : { configuration: options.configuration }),
    },
    ...tlsOptions(address, options),
  };
  try {
    if (stop.aborted) return { kind: 'outage', reason: 'stopped' };
    const where = {
      protocol: address.tls ? 'amqps' : 'amqp',
      hostname: address.host,
      port: address.port,
      // The library decodes this text once more.
      vhost: encodeURIComponent(address.vhost),
      heartbeat: options.heartbeat ?? 20,
    };
    const model = await amqp.connect(where, socket);
    model.on('error', () => undefined);
    gatherWrites(model);
    return { model, destroy: give };
  } catch (error) {
    give();
    if (late) return dialFailure(address, new Error(`no answer within ${timeout / 1000} s`));
    return dialFailure(address, error);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', give);
  }
}

/** As `dial`; a virtual host that is not found is tried with a leading slash, which is how some brokers were set up. */
export async function dialEitherVhost(
  address: BrokerAddress,
  options: DialOptions,
  stop: AbortSignal,
): Promise<Dialled | DialFailure> {
  const first = await dial(address, options, stop);
  if (!('kind' in first) || first.kind !== 'vhost' || address.vhost.startsWith('/')) return first;
  const second = await dial({ ...address, vhost: `/${address.vhost}` }, options, stop);
  return 'kind' in second && second.kind === 'vhost' ? first : second;
}
