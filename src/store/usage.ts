import type { Client } from './client.js';
import { type Engine, hashOf, keyOf, numberValue, readNumber, table } from './engine/engine.js';

/** Bytes that a source may keep, and has. A count that was not taken yet is 0. */
export interface Taken {
  readonly isTaken: boolean;
  /** Bytes on disk, and of what is on its way. */
  readonly used: number;
}

/** What each source keeps below the tree: counted as files come and go, and counted anew now and then. */
export interface Usage {
  /** Reserves `bytes` for a file on its way, unless the source would have more than `limit` then. */
  readonly take: (source: string, bytes: number, limit: number) => Promise<Taken>;
  /** The file has come to its end: the reservation is given up, and `change` is what the tree has more, or less. */
  readonly settle: (source: string, bytes: number, change: number) => Promise<void>;
  /** Whether the caller is to count now: nobody has within `age` milliseconds, and nobody does. */
  readonly begin: (source: string, age: number) => Promise<boolean>;
  /** What was found; what has changed since `begin` is added. */
  readonly counted: (source: string, bytes: number) => Promise<void>;
  /** It could not be counted: somebody may try again. */
  readonly uncounted: (source: string) => Promise<void>;
}

/** What a source keeps, as far as it is known. */
export interface Kept {
  readonly source: string;
  readonly used: number;
  /** When all was counted last, in milliseconds since 1970; undefined since the start of this owner. */
  readonly countedAt?: number;
}

export interface SharedUsage {
  readonly of: (client: Client) => Usage;
  readonly look: (sources: readonly string[]) => readonly Kept[];
  /** All are to be counted anew by whoever asks next whether to count. */
  readonly recount: () => void;
  /** Gives up what the client has reserved, and the count that it has begun. */
  readonly leave: (client: Client) => void;
}

interface Account {
  used: number;
  /** Reserved, by client. */
  readonly reserved: Map<Client, number>;
  counting: { readonly client: Client; change: number } | undefined;
  countedAt: number;
}

/**
 * The counts of all sources. They may err, after a crash or while files are counted, until the next count has ended; a
 * reservation keeps several instances from passing the limit together. `now` in milliseconds.
 */
export function openUsage(engine: Engine, now: () => number): SharedUsage {
  const accounts = new Map<string, Account>();
  const keyFor = (source: string): Buffer => keyOf(table.usage, hashOf(source));
  const accountOf = (source: string): Account => {
    const known = accounts.get(source);
    if (known !== undefined) return known;
    const used = readNumber(engine.get(keyFor(source))) ?? 0;
    const made: Account = {
      used,
      reserved: new Map(),
      counting: undefined,
      countedAt: Number.NEGATIVE_INFINITY,
    };
    accounts.set(source, made);
    return made;
  };
  const set = (source: string, account: Account, used: number): void => {
    account.used = Math.max(0, used);
    engine.put(keyFor(source), numberValue(account.used));
  };
  const reservedIn = ({ reserved }: Account): number =>
    [...reserved.values()].reduce((sum, one) => sum + one, 0);

  return {
    of: (client) => ({
      take: async (source, bytes, limit) => {
        const account = accountOf(source);
        const used = account.used + reservedIn(account);
        if (used + bytes > limit) return { isTaken: false, used };
        account.reserved.set(client, (account.reserved.get(client) ?? 0) + bytes);
        return { isTaken: true, used };
      },
      settle: async (source, bytes, change) => {
        const account = accountOf(source);
        account.reserved.set(client, Math.max(0, (account.reserved.get(client) ?? 0) - bytes));
        if (change === 0) return;
        if (account.counting !== undefined) account.counting.change += change;
        set(source, account, account.used + change);
        await engine.written();
      },
      begin: async (source, age) => {
        const account = accountOf(source);
        if (account.counting !== undefined || now() - account.countedAt < age) return false;
        account.counting = { client, change: 0 };
        return true;
      },
      counted: async (source, bytes) => {
        const account = accountOf(source);
        if (account.counting?.client !== client) return;
        set(source, account, bytes + account.counting.change);
        account.counting = undefined;
        account.countedAt = now();
        await engine.written();
      },
      uncounted: async (source) => {
        const account = accountOf(source);
        if (account.counting?.client === client) account.counting = undefined;
      },
    }),
    look: (sources) =>
      sources.map((source) => {
        const { used, countedAt } = accountOf(source);
        return { source, used, ...(Number.isFinite(countedAt) && { countedAt }) };
      }),
    recount: () => {
      for (const account of accounts.values()) account.countedAt = Number.NEGATIVE_INFINITY;
    },
    leave: (client) => {
      for (const account of accounts.values()) {
        account.reserved.delete(client);
        if (account.counting?.client === client) account.counting = undefined;
      }
    },
  };
}
