/*
 * One path's events never overtake each other. An item waits for every earlier item in hand that touches one of
 * its paths. A removal, a link or a move may concern a directory, so it also waits for everything below its
 * paths, and everything below waits for it. Waiting is always for earlier items, so there is no deadlock.
 */

/** What an item touches. */
export interface Touch {
  readonly path: string;
  /** The event may change everything below the path as well. */
  readonly subtree: boolean;
  /** Items of one party do not wait for one another: the blocks of one file. */
  readonly party?: string | undefined;
}

export interface Order {
  /** Joins the queue. `turn` is undefined when nobody is before us; call `leave` when settled. */
  readonly join: (touches: readonly Touch[]) => {
    readonly turn: Promise<void> | undefined;
    readonly leave: () => void;
  };
}

interface Place {
  readonly touches: readonly Touch[];
  /** Told when it has left. */
  readonly waiting: (() => void)[];
}

const nobody: ReadonlySet<Place> = new Set();

/** Most items have nobody behind them: a promise is made when somebody waits. */
const leaving = (place: Place): Promise<void> => new Promise((resolve) => place.waiting.push(resolve));

const isBelow = (path: string, directory: string): boolean =>
  path.length > directory.length &&
  path.startsWith(directory) &&
  (directory === '' || path[directory.length] === '/');

/** Keeps the items of one process in order. */
export function createOrder(): Order {
  const latest = new Map<string, Place>();
  const subtrees = new Set<Place>();

  const before = (touches: readonly Touch[]): ReadonlySet<Place> => {
    let earlier: Set<Place> | undefined;
    const add = (place: Place): void => {
      earlier ??= new Set();
      earlier.add(place);
    };
    for (const { path, subtree } of touches) {
      const same = latest.get(path);
      if (same !== undefined) add(same);
      for (const place of subtrees) {
        if (place.touches.some((touch) => touch.subtree && isBelow(path, touch.path))) add(place);
      }
      if (!subtree) continue;
      for (const [other, place] of latest) if (isBelow(other, path)) add(place);
    }
    return earlier ?? nobody;
  };

  return {
    join: (touches) => {
      const earlier = before(touches);
      const place: Place = { touches, waiting: [] };
      for (const { path } of touches) latest.set(path, place);
      if (touches.some((touch) => touch.subtree)) subtrees.add(place);
      const turn =
        earlier.size === 0 ? undefined : Promise.all([...earlier].map(leaving)).then(() => undefined);
      return {
        turn,
        leave: () => {
          for (const { path } of touches) if (latest.get(path) === place) latest.delete(path);
          subtrees.delete(place);
          for (const tell of place.waiting) tell();
        },
      };
    },
  };
}
