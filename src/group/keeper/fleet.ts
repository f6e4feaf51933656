import { readdir } from 'node:fs/promises';
import type { Logger } from '../../logger.js';
import { findOwner } from '../../store/owner/owner-file.js';
import { assign, nextNumber } from '../assign.js';
import { type Entry, keyOf } from '../entry.js';
import { type Carrier, endIn, overviewOf, quit, runIn } from '../kept/carrier-process.js';
import { keepProcess } from '../kept/kept.js';
import { carrierDirectory } from '../places.js';
import { createSuspicion, halves } from '../kept/suspicion.js';
import type { Carried, GroupCarrier, Result } from '../words.js';
import type { Spawns } from '../kept/spawns.js';

/** The processes that carry many configurations, and who is in which. */
export interface Fleet {
  /** Takes over the processes that an earlier keeper has left; answers what they carry. */
  readonly adopt: () => Promise<readonly Adopted[]>;
  /** Gives a configuration its place; `total` will have one in the end. */
  readonly place: (entry: Entry, total: number) => number;
  readonly placed: (entry: Entry, number: number) => void;
  /** Where a configuration has its place. */
  readonly numberOf: (key: string) => number | undefined;
  /** Starts the processes that are not there yet. */
  readonly launch: () => Promise<void>;
  /** Has configurations run where they have their place. */
  readonly run: (entries: readonly Entry[], patience: number) => Promise<readonly Result[]>;
  readonly end: (keys: readonly string[]) => Promise<readonly Result[]>;
  /** Ends what runs in a process and is not to run there. */
  readonly expel: (number: number, keys: readonly string[]) => Promise<void>;
  /** Those without configurations end. */
  readonly shrink: () => Promise<void>;
  readonly look: () => Promise<readonly Seen[]>;
  /** Whether a configuration is at work. */
  readonly carries: (key: string) => Promise<boolean>;
}

/** A process of an earlier keeper. */
export interface Adopted {
  readonly number: number;
  readonly carried: readonly string[];
  /** What has ended there since. */
  readonly ended: readonly string[];
}

/** A carrier, and what it says of its configurations; undefined when it says nothing. */
export interface Seen {
  readonly carrier: GroupCarrier;
  readonly carried: readonly Carried[] | undefined;
}

export interface FleetOptions {
  /** Of the keeper. */
  readonly directory: string;
  readonly processors: number;
  readonly spawns: Spawns;
  readonly logger: Logger;
  /** What became of configurations whose process was started again. */
  readonly told: (results: readonly Result[]) => void;
  /** Some have another place now; resolves when a keeper after this one would know. */
  readonly moved: () => Promise<void>;
}

/** Milliseconds until those that are to go are gone. */
const END_LIMIT = 5000;

export function openFleet(options: FleetOptions): Fleet {
  const { directory, processors, spawns, logger } = options;
  const carriers = new Map<number, Carrier>();

  const carrierOf = (number: number): Carrier => {
    const known = carriers.get(number);
    if (known !== undefined) return known;
    const entries = new Map<string, Entry>();
    const begun = new Set<string>();
    const made: Carrier = {
      number,
      entries,
      begun,
      suspicion: createSuspicion(Date.now),
      isOpen: true,
      process: keepProcess({
        name: `carrier ${number}`,
        directory: carrierDirectory(directory, number),
        spawn: () => spawns.carrier(number),
        logger,
        up: () => {
          const again = [...entries.values()].filter((entry) => begun.has(keyOf(entry)));
          if (again.length > 0) void runIn(made, again).then(options.told);
        },
        // Nobody but us tells it to end: whoever did has not told us, so it has to come back.
        gone: () => void made.process.begin(),
        died: () => divideIfSuspect(made),
      }),
    };
    carriers.set(number, made);
    return made;
  };

  const divideIfSuspect = (carrier: Carrier): boolean => {
    if (!carrier.suspicion.died()) return false;
    const { number, entries } = carrier;
    const [, going] = halves([...entries.values()]);
    if (going.length === 0) {
      for (const key of entries.keys())
        logger.error(
          `${key} ends the process that carries it, carrier ${number}, which carries nothing else`,
        );
      return false;
    }
    const other = carrierOf(nextNumber([...carriers.keys()]));
    logger.error(
      `carrier ${number} dies again and again: ${going.length} of its ${entries.size} configurations go on in ` +
        `carrier ${other.number}, to find which one does it`,
    );
    other.suspicion.begin();
    for (const entry of going) {
      const key = keyOf(entry);
      entries.delete(key);
      other.entries.set(key, entry);
      if (carrier.begun.delete(key)) other.begun.add(key);
    }
    void options.moved().then(other.process.begin);
    return true;
  };

  const holderOf = (key: string): Carrier | undefined =>
    [...carriers.values()].find(({ entries }) => entries.has(key));

  return {
    adopt: async () => {
      const found: Adopted[] = [];
      for (const number of await livingCarriers(directory)) {
        const carrier = carrierOf(number);
        await carrier.process.begin();
        const { carried = [], ended = [] } = (await overviewOf(carrier)) ?? {};
        found.push({ number, carried: carried.map(({ key }) => key), ended });
      }
      return found;
    },
    place: (entry, total) => {
      const known = holderOf(keyOf(entry));
      if (known !== undefined) return known.number;
      const loads = [...carriers.values()].map(({ number, entries, isOpen, suspicion }) => ({
        number,
        carried: entries.size,
        isOpen: isOpen && !suspicion.isOn(),
      }));
      const number = assign(loads, total, processors);
      carrierOf(number).entries.set(keyOf(entry), entry);
      return number;
    },
    placed: (entry, number) => carrierOf(number).entries.set(keyOf(entry), entry),
    numberOf: (key) => holderOf(key)?.number,
    launch: async () => {
      await Promise.all([...carriers.values()].map(({ process }) => process.begin()));
    },
    run: async (entries, patience) => {
      const results = [...carriers.values()].map((carrier) =>
        runIn(
          carrier,
          entries.filter((entry) => carrier.entries.has(keyOf(entry))),
          patience,
        ),
      );
      return (await Promise.all(results)).flat();
    },
    end: async (keys) => {
      const results = [...carriers.values()].map((carrier) =>
        endIn(
          carrier,
          keys.filter((key) => carrier.entries.has(key)),
        ),
      );
      return (await Promise.all(results)).flat();
    },
    expel: async (number, keys) => {
      if (keys.length > 0) await carrierOf(number).process.ask('end', { keys }, END_LIMIT);
    },
    shrink: async () => {
      const empty = [...carriers.values()].filter(({ entries }) => entries.size === 0);
      for (const { number } of empty) carriers.delete(number);
      await Promise.all(empty.map(quit));
    },
    carries: async (key) => {
      const holder = holderOf(key);
      const carried = holder === undefined ? undefined : (await overviewOf(holder))?.carried;
      const state = carried?.find((one) => one.key === key)?.state;
      return state !== undefined && state !== 'stopped' && state !== 'failed';
    },
    look: () =>
      Promise.all(
        [...carriers.values()].map(async (carrier): Promise<Seen> => {
          const said = await overviewOf(carrier);
          return {
            carrier: {
              ...carrier.process.status(),
              number: carrier.number,
              memory: said?.memory,
              keys: [...carrier.entries.keys()],
            },
            carried: said?.carried,
          };
        }),
      ),
  };
}

/** Numbers of the carriers that live. */
async function livingCarriers(directory: string): Promise<readonly number[]> {
  const names = await readdir(directory);
  const numbers = names.flatMap((name) => {
    const [, digits] = /^carrier-(\d+)$/.exec(name) ?? [];
    return digits === undefined ? [] : [Number(digits)];
  });
  const alive = await Promise.all(
    numbers.map(async (number) => (await findOwner(carrierDirectory(directory, number))) !== undefined),
  );
  return numbers.filter((_, index) => alive[index]);
}
