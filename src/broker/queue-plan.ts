/** What a queue shall be, and making it so: declared, bound, and rid of bindings that are no longer wanted. */
import type { Channel, ChannelModel } from 'amqplib';
import type { Logger } from '../logger.js';
import type { Binding } from './broker.js';
import { onThrowAwayChannel } from './connection.js';
import { replies, replyCode, replyText } from './failures.js';

export interface QueuePlan {
  readonly name: string;
  readonly durable: boolean;
  /** Milliseconds without a consumer after which the broker removes the queue; undefined or 0 for never. */
  readonly expires: number | undefined;
  /** Milliseconds after which the broker drops a message that nobody took; undefined or 0 for never. */
  readonly messageTtl: number | undefined;
  /** False: the queue is somebody else's, only used. */
  readonly declare: boolean;
  /** False: bindings are left as they are. */
  readonly bind: boolean;
  readonly bindings: readonly PlannedBinding[];
}

export interface PlannedBinding extends Binding {
  /**
   * Made only where the exchange is there; asked anew for each session. Records, for example, are read under both of
   * their names, but most brokers have only one.
   */
  readonly optional?: boolean;
}

/** A queue that can be used, and what is still missing. */
export interface Applied {
  /** What it is bound to, or shall be. */
  readonly wanted: readonly Binding[];
  /** Of these, what could not be bound yet, with the reasons. */
  readonly left: readonly Binding[];
  readonly troubles: readonly string[];
}

/** Bindings applied by earlier runs; without it a binding that left the configuration could not be found. */
export interface RememberedBindings {
  readonly load: (queue: string) => Promise<readonly Binding[]>;
  readonly save: (queue: string, bindings: readonly Binding[]) => Promise<void>;
}

/** A refusal of the broker that an operator has to mend; trying again later is right all the same. */
export interface Trouble {
  readonly trouble: string;
}

const sameAs = (a: Binding) => (b: Binding) => a.exchange === b.exchange && a.key === b.key;

/** Bindings of `left` that are not in `right`, each once. */
export function bindingsWithout(left: readonly Binding[], right: readonly Binding[]): Binding[] {
  return left.filter(
    (binding, index) => left.findIndex(sameAs(binding)) === index && !right.some(sameAs(binding)),
  );
}

/** Arguments the plan asks for, as the client library names them. */
const argumentsOf = (plan: QueuePlan) => ({
  durable: plan.durable,
  ...(plan.expires === undefined || plan.expires <= 0 ? {} : { expires: plan.expires }),
  ...(plan.messageTtl === undefined || plan.messageTtl <= 0 ? {} : { messageTtl: plan.messageTtl }),
});

type Tried = { readonly code: undefined } | { readonly code: number; readonly text: string };

/** Runs one operation on a channel of its own; refusals by reply code are answers, everything else is thrown. */
async function attempt(model: ChannelModel, work: (channel: Channel) => Promise<unknown>): Promise<Tried> {
  try {
    await onThrowAwayChannel(model, work);
    return { code: undefined };
  } catch (error) {
    const code = replyCode(error);
    if (code === undefined || code < 400 || code >= 500) throw error;
    return { code, text: replyText(error) };
  }
}

/** Undefined when the queue is there to be used. */
async function declare(
  model: ChannelModel,
  plan: QueuePlan,
  warn: (text: string) => void,
): Promise<Trouble | undefined> {
  let declared: Tried | undefined;
  if (plan.declare) {
    declared = await attempt(model, (channel) => channel.assertQueue(plan.name, argumentsOf(plan)));
    if (declared.code === undefined) return undefined;
  }
  const there = await attempt(model, (channel) => channel.checkQueue(plan.name));
  if (there.code === undefined) {
    if (declared?.code === replies.preconditionFailed)
      warn(
        `Queue ${plan.name} exists with other properties than configured and is used as it is; to change it, remove it with the action cleanup and declare again (the broker said: ${declared.text})`,
      );
    return undefined;
  }
  if (declared?.code === replies.refused)
    return {
      trouble: `not allowed to declare queue ${plan.name}: the user needs the configure permission on that name (the broker said: ${declared.text})`,
    };
  if (there.code === replies.notFound)
    return {
      trouble: `queue ${plan.name} does not exist and declare_queue is off: declare it, or turn declare_queue on`,
    };
  return {
    trouble: `cannot use queue ${plan.name} (the broker said: ${(declared ?? there).code} ${there.text})`,
  };
}

/** Undefined when the binding stands. */
async function bindOne(model: ChannelModel, queue: string, binding: Binding): Promise<Trouble | undefined> {
  const done = await attempt(model, (channel) => channel.bindQueue(queue, binding.exchange, binding.key));
  if (done.code === undefined) return undefined;
  const what = `cannot bind queue ${queue} to exchange ${binding.exchange} with key ${binding.key}`;
  if (done.code === replies.notFound)
    return {
      trouble: `${what}: the exchange (or the queue) does not exist; check the option exchange, or have the exchange declared`,
    };
  if (done.code === replies.refused)
    return {
      trouble: `${what}: the user needs the read permission on the exchange and the write permission on the queue (the broker said: ${done.text})`,
    };
  return { trouble: `${what} (the broker said: ${done.code} ${done.text})` };
}

/** Binds what can be bound; the others with their reasons. */
export async function bindAll(
  model: ChannelModel,
  queue: string,
  bindings: readonly Binding[],
): Promise<{ readonly left: readonly Binding[]; readonly troubles: readonly string[] }> {
  try {
    await onThrowAwayChannel(model, (channel) =>
      Promise.all(bindings.map((binding) => channel.bindQueue(queue, binding.exchange, binding.key))),
    );
    return { left: [], troubles: [] };
  } catch (error) {
    if (replyCode(error) === undefined) {
      // When one of several is refused, the others fail with the channel: the broker's reason comes from trying each.
      if (bindings.length < 2) throw error;
    }
  }
  const left: Binding[] = [];
  const troubles: string[] = [];
  for (const binding of bindings) {
    const failed = await bindOne(model, queue, binding);
    if (failed === undefined) continue;
    left.push(binding);
    troubles.push(failed.trouble);
  }
  return { left, troubles };
}

/** The bindings to make: those of the plan, without the optional ones whose exchange is not there. */
async function wantedBindings(model: ChannelModel, { bindings }: QueuePlan): Promise<readonly Binding[]> {
  const wanted: Binding[] = [];
  for (const { exchange, key, optional } of bindings) {
    // An exchange that may not even be looked at is there.
    const there =
      optional === true ? await attempt(model, (channel) => channel.checkExchange(exchange)) : undefined;
    if (there?.code !== replies.notFound) wanted.push({ exchange, key });
  }
  // None is there: asking for all makes the broker say which.
  return wanted.length > 0 ? wanted : bindings.map(({ exchange, key }) => ({ exchange, key }));
}

/** Removes bindings of earlier configurations. New ones stand already, so nothing falls between. */
async function unbind(
  model: ChannelModel,
  plan: QueuePlan,
  wanted: readonly Binding[],
  remembered: RememberedBindings,
  log: Logger,
): Promise<void> {
  const before = await remembered.load(plan.name);
  const gone = bindingsWithout(before, wanted);
  const stay: Binding[] = [];
  for (const binding of gone) {
    const done = await attempt(model, (channel) =>
      channel.unbindQueue(plan.name, binding.exchange, binding.key),
    );
    if (done.code === undefined)
      log.info(`Removed the binding of ${plan.name} to ${binding.exchange} with key ${binding.key}.`);
    else if (done.code !== replies.notFound) {
      stay.push(binding);
      log.warning(
        `Cannot remove the old binding of ${plan.name} to ${binding.exchange} with key ${binding.key}: ${done.text}.`,
      );
    }
  }
  if (gone.length > 0) await remembered.save(plan.name, [...wanted, ...stay]);
}

/**
 * Makes the queue as planned. `trouble` when it cannot be used at all; else the bindings that are still missing, with
 * their reasons. Throws when the connection was lost meanwhile.
 */
export async function applyPlan(
  model: ChannelModel,
  plan: QueuePlan,
  remembered: RememberedBindings | undefined,
  log: Logger,
  warn: (text: string) => void,
): Promise<Trouble | Applied> {
  const failed = await declare(model, plan, warn);
  if (failed !== undefined) return failed;
  if (!plan.bind) return { wanted: [], left: [], troubles: [] };
  const wanted = await wantedBindings(model, plan);
  if (remembered !== undefined) {
    // Written before the first bind: a binding must never exist without being remembered.
    const before = await remembered.load(plan.name);
    const added = bindingsWithout(wanted, before);
    if (added.length > 0) await remembered.save(plan.name, [...before, ...added]);
  }
  const bound = await bindAll(model, plan.name, wanted);
  if (remembered !== undefined) await unbind(model, plan, wanted, remembered, log);
  return { wanted, ...bound };
}
