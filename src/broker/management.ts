/**
 * RabbitMQ's management API: who there is on a broker, what they may do, and what exchanges, queues and bindings
 * there are. Every request has a deadline, and what is not wholly told is recognised, because whoever removes what
 * he does not see declared must have seen everything.
 */
import { Agent, request } from 'undici';
import { FatalError, messageOf, RetryableError } from '../errors.js';
import type { TlsRigour } from './broker.js';
import {
  ailmentOf,
  bindingOf,
  exchangeOf,
  type ListedBinding,
  type ListedExchange,
  type ListedQueue,
  type ListedRights,
  type ListedUser,
  nameOf,
  objectOf,
  queueOf,
  type Rights,
  rightsOf,
  type Row,
  rowsOf,
  userOf,
} from './listed.js';

export interface ManagementAddress {
  /** `http://host:15672/`, `https://host:15671/`. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly vhost: string;
  readonly tlsRigour?: TlsRigour;
  /** Milliseconds that one request may take; 30 seconds unless given. */
  readonly deadline?: number;
}

/** A password as the broker keeps it. */
export interface NewUser {
  readonly tags: readonly string[];
  readonly passwordHash: string;
  readonly hashingAlgorithm: string;
}

/**
 * Each member is one request, in the virtual host of the address. Throws RetryableError when nobody answers in time,
 * PartialAnswer when not all was told, FatalError when we are refused.
 */
export interface Management {
  /** Who we are, as the broker has it; undefined when the login is refused. */
  readonly whoAmI: (stop?: AbortSignal) => Promise<string | undefined>;
  /** What keeps the broker from knowing all of itself: nodes that are down, networks that are parted. */
  readonly ailments: (stop?: AbortSignal) => Promise<readonly string[]>;
  readonly users: (stop?: AbortSignal) => Promise<readonly ListedUser[]>;
  /** Those of every virtual host. */
  readonly rights: (stop?: AbortSignal) => Promise<readonly ListedRights[]>;
  readonly exchanges: (stop?: AbortSignal) => Promise<readonly ListedExchange[]>;
  readonly queues: (stop?: AbortSignal) => Promise<readonly ListedQueue[]>;
  readonly bindings: (stop?: AbortSignal) => Promise<readonly ListedBinding[]>;
  /** Makes a user, or gives the one that is there another password and other tags. */
  readonly putUser: (name: string, user: NewUser, stop?: AbortSignal) => Promise<void>;
  readonly putRights: (user: string, rights: Rights, stop?: AbortSignal) => Promise<void>;
  /** A durable topic exchange. */
  readonly putExchange: (name: string, stop?: AbortSignal) => Promise<void>;
  /** These four are content when it is gone already. The rights are those in this virtual host. */
  readonly deleteRights: (user: string, stop?: AbortSignal) => Promise<void>;
  readonly deleteUser: (name: string, stop?: AbortSignal) => Promise<void>;
  readonly deleteExchange: (name: string, stop?: AbortSignal) => Promise<void>;
  /** Left alone, and `false`, when somebody reads from it, or it holds messages, and that is to keep it. */
  readonly deleteQueue: (
    name: string,
    how: { readonly unlessRead: boolean; readonly unlessFull: boolean },
    stop?: AbortSignal,
  ) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const longestAnswer = 256 * 1024 * 1024;
const wire = encodeURIComponent;

/** Opens the API; nothing is asked yet. */
export function openManagement(address: ManagementAddress): Management {
  const { ask, change, close } = openClient(address);
  const vhost = wire(address.vhost);
  const list = async (path: string, stop?: AbortSignal): Promise<readonly Row[]> =>
    rowsOf((await ask('GET', path, undefined, stop)).text, path);
  return {
    whoAmI: async (stop) => {
      const { status, text } = await ask('GET', 'whoami', undefined, stop, [200, 401]);
      return status === 401 ? undefined : nameOf(objectOf(text, 'whoami'), 'whoami');
    },
    ailments: async (stop) => (await list('nodes?columns=name,running,partitions', stop)).flatMap(ailmentOf),
    users: async (stop) => (await list('users', stop)).map(userOf),
    rights: async (stop) => (await list('permissions', stop)).map(rightsOf),
    exchanges: async (stop) => (await list(`exchanges/${vhost}`, stop)).map(exchangeOf),
    queues: async (stop) => (await list(`queues/${vhost}`, stop)).map(queueOf),
    bindings: async (stop) => (await list(`bindings/${vhost}`, stop)).map(bindingOf),
    putUser: async (name, user, stop) => {
      const { tags, passwordHash, hashingAlgorithm } = user;
      const body = { tags: tags.join(','), password_hash: passwordHash, hashing_algorithm: hashingAlgorithm };
      await change('PUT', `users/${wire(name)}`, body, stop);
    },
    putRights: async (user, { configure, write, read }, stop) => {
      await change('PUT', `permissions/${vhost}/${wire(user)}`, { configure, write, read }, stop);
    },
    putExchange: async (name, stop) => {
      const body = { type: 'topic', durable: true, auto_delete: false, internal: false, arguments: {} };
      await change('PUT', `exchanges/${vhost}/${wire(name)}`, body, stop);
    },
    deleteRights: async (user, stop) => {
      await change('DELETE', `permissions/${vhost}/${wire(user)}`, undefined, stop);
    },
    deleteUser: async (name, stop) => {
      await change('DELETE', `users/${wire(name)}`, undefined, stop);
    },
    deleteExchange: async (name, stop) => {
      await change('DELETE', `exchanges/${vhost}/${wire(name)}`, undefined, stop);
    },
    deleteQueue: async (name, { unlessRead, unlessFull }, stop) => {
      const path = `queues/${vhost}/${wire(name)}?if-unused=${unlessRead}&if-empty=${unlessFull}`;
      const { status } = await ask('DELETE', path, undefined, stop, [200, 204, 400, 404]);
      if (status === 400 && !unlessRead && !unlessFull)
        throw new FatalError(`${path}: the broker refused to delete it`);
      return status !== 400;
    },
    close,
  };
}

interface Client {
  readonly ask: (
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    body: unknown,
    stop?: AbortSignal,
    expected?: readonly number[],
  ) => Promise<Answer>;
  readonly change: (
    method: 'PUT' | 'DELETE',
    path: string,
    body: unknown,
    stop?: AbortSignal,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
}

function openClient({ url, user, password, tlsRigour, deadline = 30_000 }: ManagementAddress): Client {
  const agent = new Agent({
    connect: { timeout: deadline, rejectUnauthorized: tlsRigour !== 'lax' },
    headersTimeout: deadline,
    bodyTimeout: deadline,
    maxResponseSize: longestAnswer,
  });
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const root = `${url.replace(/\/*$/, '')}/api/`;
  const ask: Client['ask'] = async (method, path, body, stop, expected = [200, 201, 204]) => {
    const what = `${method} ${root}${path}`;
    const kill = new AbortController();
    const end = (): void => kill.abort();
    // A timer of our own: Node 20 may forget those behind AbortSignal.any.
    const timer = setTimeout(end, deadline);
    stop?.addEventListener('abort', end, { once: true });
    if (stop?.aborted === true) end();
    try {
      const answer = await request(`${root}${path}`, {
        method,
        dispatcher: agent,
        signal: kill.signal,
        headers: { authorization, accept: 'application/json', 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      if (expected.includes(answer.statusCode)) return { status: answer.statusCode, text };
      throw refusal(what, user, answer.statusCode, text);
    } catch (thrown) {
      if (thrown instanceof FatalError || thrown instanceof RetryableError) throw thrown;
      if (stop?.aborted === true) throw new RetryableError(`${what}: stopped`, { cause: thrown });
      const why = kill.signal.aborted ? `no answer within ${deadline / 1000} s` : causeOf(thrown);
      throw new RetryableError(
        `${what}: ${why}; is RabbitMQ's management plugin enabled (rabbitmq-plugins enable rabbitmq_management), and is this its address (option management)?`,
        { cause: thrown },
      );
    } finally {
      clearTimeout(timer);
      stop?.removeEventListener('abort', end);
    }
  };
  return {
    ask,
    change: async (method, path, body, stop) => {
      await ask(method, path, body, stop, method === 'DELETE' ? [200, 204, 404] : [200, 201, 204]);
    },
    close: () => agent.destroy(),
  };
}

/** The library's own words are behind the cause where it says nothing. */
const causeOf = (thrown: unknown): string =>
  thrown instanceof Error && thrown.message === '' && thrown.cause !== undefined
    ? messageOf(thrown.cause)
    : messageOf(thrown);

function refusal(what: string, user: string, status: number, text: string): FatalError | RetryableError {
  if (status === 401) return new FatalError(`${what}: the broker refuses user ${user}: check the password`);
  if (status === 403)
    return new FatalError(`${what}: user ${user} may not do that: it needs the tag administrator`);
  const said = `${what}: the broker answered ${status}${reasonOf(text)}`;
  return status >= 500 ? new RetryableError(said) : new FatalError(said);
}

/** What the broker says beside the code; nothing of ours is in it, but it is kept short. */
function reasonOf(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === 'string' ? ` (${reason.slice(0, 200)})` : '';
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    return '';
  }
}
