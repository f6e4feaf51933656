/** The broker of a pump, with three users, each of whom has a home. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrokerUser } from './broker-files.js';
import { account, pumpDefinitions } from './accounts.js';
import { startBroker } from './private-broker.js';
import type { PrivateBroker } from './private-broker.js';

/** A user of the pump as the programs see one: where the configuration and state are, and how to name the broker. */
export interface PumpUser {
  readonly name: string;
  /** Below it `config` and `cache`, the XDG directories of this user. */
  readonly home: string;
  /** `amqp://name@127.0.0.1:port/`; the password stands in the user's credentials.conf. */
  readonly brokerUrl: string;
}

export interface Pump {
  readonly broker: PrivateBroker;
  /** Runs the pump. */
  readonly feeder: PumpUser;
  /** Posts. */
  readonly alice: PumpUser;
  /** Subscribes. */
  readonly bob: PumpUser;
  readonly stop: () => Promise<void>;
}

export interface PumpOptions {
  /** Existing directory of our own: broker and homes are made below it. */
  readonly directory: string;
  /** The broker's data goes when this process dies. */
  readonly temporary: boolean;
  readonly signal?: AbortSignal;
}

/** Makes the home of a user: credentials for the broker, readable by nobody else. */
async function makeHome(directory: string, user: BrokerUser, port: number): Promise<PumpUser> {
  const home = join(directory, user.name);
  const config = join(home, 'config', 'sarra');
  await mkdir(config, { recursive: true, mode: 0o700 });
  await mkdir(join(home, 'cache'), { recursive: true, mode: 0o700 });
  const login = `amqp://${user.name}:${user.password}@127.0.0.1:${port}/`;
  await writeFile(join(config, 'credentials.conf'), `${login}\n`, { mode: 0o600 });
  return { name: user.name, home, brokerUrl: `amqp://${user.name}@127.0.0.1:${port}/` };
}

/**
 * Starts the broker on free ports of loopback. Resolves when its users can work with it. Throws FatalError
 * when RabbitMQ is missing or does not come up; nothing is left running then.
 */
export async function startPump({ directory, temporary, signal }: PumpOptions): Promise<Pump> {
  const feeder = account('feeder', 'feeder');
  const source = account('alice', 'source');
  const subscriber = account('bob', 'subscriber');
  const broker = await startBroker({
    directory: join(directory, 'broker'),
    definitions: pumpDefinitions([feeder, source, subscriber]),
    temporary,
    ...(signal !== undefined && { signal }),
  });
  try {
    return {
      broker,
      feeder: await makeHome(directory, feeder, broker.port),
      alice: await makeHome(directory, source, broker.port),
      bob: await makeHome(directory, subscriber, broker.port),
      stop: broker.stop,
    };
  } catch (error) {
    await broker.stop();
    throw error;
  }
}
