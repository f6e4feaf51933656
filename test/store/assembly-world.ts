import { openAssemblies, type OwnedAssemblies } from '../../src/store/assembly/assembly.js';
import type { Client } from '../../src/store/client.js';
import { nameOf, namedKey, table, type Engine } from '../../src/store/engine/engine.js';
import type { Assemblies, BlockAnswer, BlockClaim, Progress } from '../../src/store/store.js';

/*
 * A small world in which every step is chosen by the test: two writers take blocks from a queue, write them into a
 * simulated file, and install it; a writer may fail or die between any two steps, and the owner of the store at any of
 * its writes; somebody may remove the file. What is durable is a map; what the owner had not written when it died is lost.
 */

/** A block in the queue. Its content is its sum. */
export interface Message {
  readonly generation: string;
  readonly number: number;
  readonly sum: string;
  readonly instant: number;
  /** Place in the queue of the messages of older versions, which come first. */
  readonly age: number;
}

export interface Scenario {
  readonly count: number;
  readonly messages: readonly Message[];
  /** What is to stand at the end. */
  readonly target: readonly string[];
  /** How often each of this may happen. */
  readonly budget: Readonly<Record<Mishap, number>>;
}

export type Mishap = 'fail' | 'die' | 'kill' | 'late write' | 'remove';

/**
 * What happens next, and with which of the two writers. The owner is killed while it takes a message or a step, after some
 * writes of the store.
 */
export type Action =
  | { readonly kind: 'take'; readonly writer: number; readonly message: number }
  | { readonly kind: 'step' | 'fail' | 'die' | 'late write'; readonly writer: number }
  | { readonly kind: 'remove'; readonly name: string }
  | {
      readonly kind: 'kill';
      readonly writer: number;
      readonly message: number | undefined;
      readonly after: number;
    };

interface File {
  readonly blocks: (string | undefined)[];
  /** Its blocks have been looked at, and are right; it gets its name at once then. */
  isMended?: boolean;
}

type Stage =
  | 'idle'
  | 'waiting'
  | 'to write'
  | 'to ask'
  | 'to make'
  | 'to say made'
  | 'writing'
  | 'written'
  | 'to install'
  | 'to make again'
  | 'to say made again'
  | 'to name'
  | 'installed'
  | 'fired'
  | 'finished'
  | 'to leave'
  | 'to acknowledge';

interface Writer {
  client: Client;
  store: Assemblies;
  stage: Stage;
  message: number | undefined;
  /** What it writes to. */
  file: File | undefined;
  /** Order in which it began to wait. */
  since: number;
  suspects: readonly number[];
  installing: string | undefined;
  /** How often the file had been made when it was given its block. */
  seen: number;
}

/** A disk on which a batch is there or not, and an owner that may be killed before any of them. */
class Disk {
  readonly safe = new Map<string, Buffer>();

  /** What one owner sees. `writes` are done before it is killed. */
  open(writes: { left: number }): Engine {
    const pending = new Map<string, Buffer | undefined>();
    const get = (key: string): Buffer | undefined =>
      pending.has(key) ? pending.get(key) : this.safe.get(key);
    const between = (from: Uint8Array, to: Uint8Array): readonly string[] =>
      [...this.safe.keys()].filter((key) => key >= nameOf(from) && key < nameOf(to)).sort();
    return {
      get: (key) => get(nameOf(key)),
      put: (key, value) => void pending.set(nameOf(key), Buffer.from(value)),
      remove: (key) => void pending.set(nameOf(key), undefined),
      written: async () => {
        if (pending.size === 0) return;
        if (writes.left <= 0) await new Promise<never>(() => undefined);
        writes.left -= 1;
        for (const [key, value] of pending) {
          if (value === undefined) this.safe.delete(key);
          else this.safe.set(key, value);
        }
        pending.clear();
      },
      scan: async function* (this: void, from, to) {
        for (const key of between(from, to)) {
          const value = get(key);
          if (value !== undefined) yield [namedKey(key), value];
        }
      },
      clear: async (from, to) => {
        for (const key of between(from, to)) this.safe.delete(key);
      },
      failed: new AbortController().signal,
      close: async () => undefined,
    };
  }
}

/** Lets everything run that can. Nothing in the store waits for more than promises. */
async function settle(isBusy: () => boolean): Promise<void> {
  for (let turn = 0; turn < 40 && isBusy(); turn += 1) await Promise.resolve();
}

/** Stages whose step asks the store to write something, some of them only when the file was removed. */
const asking: ReadonlySet<Stage> = new Set(['written', 'to install', 'fired']);
const askingAnew: ReadonlySet<Stage> = new Set(['to ask', 'to say made again']);

const path = '/a';
const blockSize = 10;

export class World {
  private readonly disk = new Disk();
  private writes = { left: Infinity };
  private owned!: OwnedAssemblies;
  /** By the name that the ledger knows it by. */
  private readonly files = new Map<string, File>();
  private target: File | undefined;
  private readonly queue: Set<number>;
  private readonly begun = new Set<number>();
  private readonly writers: Writer[] = [];
  private readonly left: Record<Mishap, number>;
  private readonly fired = new Map<string, number>();
  /** Triggers that may be repeated: somebody died or failed between firing and finishing. */
  private readonly excused = new Map<string, number>();
  private readonly zombies: { readonly file: File; readonly number: number }[] = [];
  private clock = 0;
  private made = 0;

  private constructor(private readonly scenario: Scenario) {
    this.queue = new Set(scenario.messages.keys());
    this.left = { ...scenario.budget };
  }

  static async create(scenario: Scenario): Promise<World> {
    const world = new World(scenario);
    await world.start();
    return world;
  }

  private async start(): Promise<void> {
    this.writes = { left: Infinity };
    this.owned = await openAssemblies({
      engine: this.disk.open(this.writes),
      now: () => 1_000_000,
      ttl: 1000,
      warn: () => undefined,
      abandon: async (leftover) => {
        // It was killed right after its last write.
        if (this.writes.left <= 0) await new Promise<never>(() => undefined);
        this.files.delete(leftover);
      },
    });
    this.writers.length = 0;
    for (const name of ['one', 'two']) this.writers.push(this.writerOf(name));
  }

  private writerOf(name: string): Writer {
    const client: Client = { name };
    return {
      client,
      store: this.owned.of(client),
      stage: 'idle',
      message: undefined,
      file: undefined,
      since: 0,
      suspects: [],
      installing: undefined,
      seen: 0,
    };
  }

  private messageOf({ message }: Writer): Message {
    const found = message === undefined ? undefined : this.scenario.messages[message];
    if (found === undefined) throw new Error('this writer has nothing in hand');
    return found;
  }

  /** All that may happen now. */
  enabled(): readonly Action[] {
    const actions: Action[] = [...this.zombies.keys()].map((writer) => ({ kind: 'late write', writer }));
    for (const [name, file] of this.files)
      if (this.left.remove > 0 && file.isMended !== true) actions.push({ kind: 'remove', name });
    const isRemoved = this.left.remove < this.scenario.budget.remove;
    for (const [writer, { stage, message }] of this.writers.entries()) {
      const kills = (most: number, of?: number): readonly Action[] =>
        Array.from({ length: this.left.kill > 0 ? most + 1 : 0 }, (_, after) => ({
          kind: 'kill',
          writer,
          message: of,
          after,
        }));
      if (stage === 'idle') {
        for (const one of this.deliverable())
          actions.push({ kind: 'take', writer, message: one }, ...kills(3, one));
      } else if (stage !== 'waiting') {
        actions.push(
          { kind: 'step', writer },
          ...kills(asking.has(stage) || (isRemoved && askingAnew.has(stage)) ? 1 : 0),
        );
        if (this.left.fail > 0 && stage !== 'to acknowledge') actions.push({ kind: 'fail', writer });
      }
      if (message !== undefined && this.left.die > 0) actions.push({ kind: 'die', writer });
    }
    return actions;
  }

  /** The broker delivers in order: nothing of a version before all of the older have been out once. */
  private deliverable(): readonly number[] {
    const { messages } = this.scenario;
    const oldest = Math.min(
      ...[...messages.entries()].flatMap(([n, { age }]) => (this.begun.has(n) ? [] : [age])),
    );
    return [...this.queue].filter((n) => (messages[n]?.age ?? 0) <= oldest);
  }

  async perform(action: Action): Promise<void> {
    if (action.kind === 'remove') {
      this.left.remove -= 1;
      this.files.delete(action.name);
      return;
    }
    const writer = this.writers[action.writer];
    if (action.kind === 'late write') {
      const [zombie] = this.zombies.splice(action.writer, 1);
      // Once the file has its final name, nothing is hidden any more, and it has it as soon as it was looked at.
      if (zombie !== undefined && zombie.file.isMended !== true)
        zombie.file.blocks[zombie.number] = 'garbage';
    } else if (writer !== undefined) await this.performOf(writer, action);
    await settle(() => this.isBusy());
  }

  private isBusy(): boolean {
    return this.writers.some(({ stage }) => stage === 'waiting');
  }

  private async performOf(writer: Writer, action: Exclude<Action, { kind: 'remove' }>): Promise<void> {
    if (action.kind === 'take') this.take(writer, action.message);
    else if (action.kind === 'step') this.step(writer);
    else if (action.kind === 'fail') {
      this.left.fail -= 1;
      await this.fail(writer);
    } else if (action.kind === 'die') {
      this.left.die -= 1;
      this.die(writer);
    } else if (action.kind === 'kill') {
      this.left.kill -= 1;
      this.writes.left = action.after;
      if (action.message === undefined) this.step(writer);
      else this.take(writer, action.message);
      await settle(() => this.isBusy());
      for (const one of this.writers) this.giveBackOfDead(one);
      await this.start();
    }
  }

  private take(writer: Writer, message: number): void {
    this.queue.delete(message);
    this.begun.add(message);
    writer.message = message;
    writer.stage = 'waiting';
    this.clock += 1;
    writer.since = this.clock;
    const { generation, number, sum, instant } = this.messageOf(writer);
    const { count } = this.scenario;
    const claim: BlockClaim = {
      path,
      generation,
      number,
      count,
      blockSize,
      size: count * blockSize,
      sum,
      instant,
      leftover: `.${generation}`,
    };
    void writer.store.begin(claim).then((answer) => this.begin(writer, answer), ignore);
  }

  private begin(writer: Writer, answer: BlockAnswer): void {
    if (answer.kind === 'missing') writer.stage = 'to write';
    else if (answer.kind === 'present') this.progress(writer, answer);
    else writer.stage = 'to acknowledge';
    writer.seen = this.made;
  }

  private progress(writer: Writer, { complete, suspects, installing }: Progress): void {
    writer.stage = complete ? 'to install' : 'to leave';
    writer.installing = installing;
    writer.suspects = suspects.map(({ number }) => number);
    if (!complete) return;
    const installers = this.writers.filter(({ stage }) =>
      [
        'to install',
        'to make again',
        'to say made again',
        'to name',
        'installed',
        'fired',
        'finished',
      ].includes(stage),
    );
    if (installers.length > 1) throw new Error('two install the same file');
  }

  private step(writer: Writer): void {
    const { generation, number, sum } = this.messageOf(writer);
    const { store } = writer;
    const name = `.${generation}`;
    const then = (stage: Stage) => (): void => void (writer.stage = stage);
    switch (writer.stage) {
      case 'to write': {
        const file = this.files.get(name);
        if (file === undefined && this.scenario.budget.remove > 0) return then('to ask')();
        // Where nobody removes it, it does not matter how the first one is made.
        if (file === undefined) return this.makeFirst(writer, name);
        writer.file = file;
        file.blocks[number] = 'garbage';
        return then('writing')();
      }
      case 'to ask':
        return this.doubt(writer, 'to make', 'to write');
      case 'to make':
      case 'to make again':
        writer.file = this.files.get(name) ?? { blocks: [] };
        this.files.set(name, writer.file);
        return then(writer.stage === 'to make' ? 'to say made' : 'to say made again')();
      case 'to say made':
        writer.stage = 'waiting';
        return void this.sayMade(writer).then(() => {
          if (writer.file !== undefined) writer.file.blocks[number] = 'garbage';
          writer.stage = 'writing';
        }, ignore);
      case 'writing':
        if (writer.file !== undefined) writer.file.blocks[number] = sum;
        // What has not the name any more is written again.
        return then(this.files.get(name) === writer.file ? 'written' : 'to write')();
      case 'to say made again':
      case 'written': {
        const isMaker = writer.stage !== 'written';
        writer.stage = 'waiting';
        return void (isMaker ? this.sayMade(writer) : Promise.resolve())
          .then(() => store.placed(path, generation, number))
          .then((progress) => this.progress(writer, progress), ignore);
      }
      case 'to install':
        if (this.files.get(name) === undefined) {
          if (writer.installing === undefined) return this.doubt(writer, 'to make again', 'to install');
          // Whoever installed before died after the last step.
          if (!this.contentsOf(generation).includes(textOf(this.target)))
            throw new Error('complete without a file');
          return then('installed')();
        }
        this.mend(writer);
        writer.stage = 'waiting';
        return void store.installing(path, generation, 'note').then(then('to name'), ignore);
      case 'to name':
        this.target = this.files.get(name);
        this.files.delete(name);
        return then('installed')();
      case 'installed':
        this.fire(generation);
        return then('fired')();
      case 'fired':
        writer.stage = 'waiting';
        return void store.finished(path, generation).then(then('finished'), ignore);
      case 'finished':
      case 'to leave':
        writer.stage = 'waiting';
        return void store.leave(path, generation, number).then(then('to acknowledge'), ignore);
      case 'to acknowledge':
        writer.message = undefined;
        return then('idle')();
      default:
    }
  }

  /** No file is there: asks whether to make it. */
  private doubt(writer: Writer, granted: Stage, refused: Stage): void {
    const { generation, number } = this.messageOf(writer);
    writer.stage = 'waiting';
    void writer.store.doubt(path, generation, number).then((isOurs) => {
      writer.seen = this.made;
      writer.stage = isOurs ? granted : refused;
    }, ignore);
  }

  private makeFirst(writer: Writer, name: string): void {
    const { generation, number } = this.messageOf(writer);
    writer.stage = 'waiting';
    void writer.store.doubt(path, generation, number).then(async (isOurs) => {
      if (isOurs) {
        this.files.set(name, { blocks: [] });
        await this.sayMade(writer);
      }
      writer.stage = 'to write';
    }, ignore);
  }

  private async sayMade(writer: Writer): Promise<void> {
    const { generation, number } = this.messageOf(writer);
    await writer.store.made(path, generation, number);
    this.made += 1;
    writer.seen = this.made;
  }

  private mend({ message, suspects }: Writer): void {
    const { generation } = this.messageOf({ message } as Writer);
    const file = this.files.get(`.${generation}`);
    const wanted = this.contentsOf(generation);
    if (file === undefined) return;
    for (const number of suspects) {
      const content = file.blocks[number];
      if (content === undefined || content === 'garbage') file.blocks[number] = this.sumOf(wanted, number);
    }
    if (!wanted.includes(textOf(file))) throw new Error(`complete with ${textOf(file)}`);
    file.isMended = true;
  }

  /** The versions that were announced as this generation. */
  private contentsOf(generation: string): readonly string[] {
    const { messages, count } = this.scenario;
    const versions = new Map<number, string[]>();
    for (const { age, number, sum } of messages.filter((one) => one.generation === generation)) {
      const version = versions.get(age) ?? [];
      version[number] = sum;
      versions.set(age, version);
    }
    return [...versions.values()]
      .filter((version) => version.length === count)
      .map((version) => version.join(' '));
  }

  private sumOf(versions: readonly string[], number: number): string | undefined {
    return versions.at(-1)?.split(' ')[number];
  }

  private fire(generation: string): void {
    const times = (this.fired.get(generation) ?? 0) + 1;
    this.fired.set(generation, times);
    const allowed = this.contentsOf(generation).length + (this.excused.get(generation) ?? 0);
    if (times > allowed) throw new Error(`the trigger of ${generation} was fired ${times} times`);
  }

  /** It died or failed: if it had fired and not finished, the next may fire again. */
  private giveBack(writer: Writer): void {
    if (writer.message === undefined) return;
    const { generation } = this.messageOf(writer);
    if (writer.stage === 'fired' || writer.stage === 'waiting')
      this.excused.set(generation, (this.excused.get(generation) ?? 0) + 1);
    this.queue.add(writer.message);
  }

  /** The broker puts it where it was before. */
  private giveBackOfDead(writer: Writer): void {
    this.giveBack(writer);
    if (writer.message !== undefined) this.begun.delete(writer.message);
  }

  private async fail(writer: Writer): Promise<void> {
    const { generation, number } = this.messageOf(writer);
    this.giveBack(writer);
    await writer.store.leave(path, generation, number);
    writer.message = undefined;
    writer.stage = 'idle';
  }

  private die(writer: Writer): void {
    const { number } = this.messageOf(writer);
    this.giveBackOfDead(writer);
    if (writer.stage === 'writing' && writer.file !== undefined && this.left['late write'] > 0) {
      this.left['late write'] -= 1;
      this.zombies.push({ file: writer.file, number });
    }
    this.owned.leave(writer.client, new Error('it died'));
    this.writers[this.writers.indexOf(writer)] = this.writerOf(writer.client.name);
  }

  /** Nothing is left to happen: was everything done? */
  checkEnd(): void {
    const stuck = this.writers.some(({ stage }) => stage !== 'idle') || this.queue.size > 0;
    if (stuck) throw new Error('stuck');
    if (textOf(this.target) !== this.scenario.target.join(' '))
      throw new Error(`in the end ${textOf(this.target)}`);
    if (this.files.size > 0) throw new Error(`left over: ${[...this.files.keys()].join(' ')}`);
    if ([...this.disk.safe.keys()].some((key) => key.charCodeAt(0) === table.assemblyMark))
      throw new Error('something seems to be in hand');
    if (this.fired.size === 0) throw new Error('the trigger was never fired');
  }

  /**
   * The state as text. States that differ only in which writer or which block is which, or in random names, have the same:
   * each block is described with all that there is about it, and the descriptions are sorted.
   */
  fingerprint(): string {
    const { count, messages } = this.scenario;
    const hidden = [...this.files.values()];
    const waiting = this.writers.filter(({ stage }) => stage === 'waiting');
    const first = waiting.length > 1 ? Math.min(...waiting.map(({ since }) => since)) : 0;
    const blocks = Array.from({ length: count }, () => ({
      disk: [] as string[],
      messages: [] as string[],
      writers: [] as string[],
      files: [...hidden, this.target],
    }));
    const all: string[] = [];
    for (const [key, value] of this.disk.safe) this.describe(namedKey(key), value, blocks, all);
    for (const [n, { number, sum }] of messages.entries())
      blocks[number]?.messages.push(`${sum.replace(/\d/, '')} ${this.queue.has(n)} ${this.begun.has(n)}`);
    for (const { stage, message, file, since, seen, installing } of this.writers) {
      if (message === undefined) continue;
      const { number, sum } = messages[message] ?? { number: 0, sum: '' };
      const where = file === undefined ? '' : hidden.indexOf(file);
      const about = `${where} ${since === first} ${seen < this.made} ${installing ?? ''}`;
      blocks[number]?.writers.push(`${stage} ${sum.replace(/\d/, '')} ${about}`);
    }
    for (const { file, number } of this.zombies) blocks[number]?.writers.push(`late ${hidden.indexOf(file)}`);
    const described = blocks.map(({ disk, messages: own, writers, files }, number) => {
      const contents = files.map((file) => file?.blocks[number]?.replace(/\d/, ''));
      const isSuspect = this.writers.some(({ suspects }) => suspects.includes(number));
      return JSON.stringify([disk.sort(), own, writers.sort(), contents, isSuspect]);
    });
    return JSON.stringify([
      described.sort(),
      all.sort(),
      [...this.files].map(([name, { isMended }]) => [name, isMended]),
      this.made > 0,
      this.left,
      [...this.fired],
      [...this.excused],
    ]);
  }

  /** Puts what is on the disk to the block that it is about, or to what is about all. */
  private describe(key: Buffer, value: Buffer, blocks: readonly { disk: string[] }[], all: string[]): void {
    const letter = key[0] ?? 0;
    if (letter === table.assemblyBlock)
      blocks[key.readUIntBE(23, 6)]?.disk.push(`${this.isCurrent(key)} ${value.toString('hex', 0, 16)}`);
    else if (letter === table.assemblyMark) blocks[key.readUIntBE(17, 6)]?.disk.push('mark');
    else all.push(`${letter} ${value.toString().replace(/"(version|previous)":"[^"]+"/g, '')}`);
  }

  /** Whether a block is of the version that counts. */
  private isCurrent(key: Buffer): boolean {
    const head = [...this.disk.safe].find(([name]) => name.charCodeAt(0) === table.assembly)?.[1];
    return head?.toString().includes(`"version":"${key.toString('hex', 17, 23)}"`) === true;
  }
}

const textOf = (file: File | undefined): string => [...(file?.blocks ?? [])].join(' ');

/** What was asked of somebody who died. */
const ignore = (): void => undefined;
