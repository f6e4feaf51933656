import { type BrokerConnection, connectBroker } from '../../broker/connection.js';
import type { Config } from '../../config/config.js';
import type { BrokerLogin } from '../../config/credentials.js';
import { FatalError, messageOf, RetryableError } from '../../errors.js';
import { rigourOf } from './administration.js';
import type { Host } from '../places/host.js';

/** Milliseconds for a login. */
const LOGIN = 20_000;

interface Try {
  readonly config: Config;
  readonly host: Host;
  /** Milliseconds. */
  readonly limit?: number;
  readonly stop?: AbortSignal | undefined;
}

/** What keeps somebody from logging in to a broker; undefined when nothing does, and `work` was done there. */
export async function tryLogin(
  addressOf: () => BrokerLogin,
  { config, host, limit = LOGIN, stop }: Try,
  work: (connection: BrokerConnection, stop: AbortSignal) => Promise<void> = async () => undefined,
): Promise<string | undefined> {
  const late = new AbortController();
  const end = (): void => late.abort();
  const timer = setTimeout(end, limit);
  stop?.addEventListener('abort', end, { once: true });
  if (stop?.aborted === true) end();
  let connection: BrokerConnection | undefined;
  try {
    connection = connectBroker({
      addresses: [addressOf()],
      name: `${config.program} check`,
      version: host.version,
      tlsRigour: rigourOf(config),
    });
    await connection.link(late.signal, { failFast: true });
    await work(connection, late.signal);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof FatalError || thrown instanceof RetryableError) return messageOf(thrown);
    throw thrown;
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', end);
    await connection?.close();
  }
}
