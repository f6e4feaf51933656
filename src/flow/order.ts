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
  hasLeft: boolean;
}

/** The last at one path: one place, or all of one party that have come without another between them. */
interface Group {
  readonly party: string | undefined;
  readonly places: Set<Place>;
  /** Those before them: whoever comes later to the party waits for them as well. */
  readonly before: readonly Place[];
}

const nobody: ReadonlySet<Place> = new Set();

/** Most items have nobody behind them: a promise is made when somebody waits. */
const leaving = (place: Place): Promise<void> => new Promise((resolve) => place.waiting.push(resolve));

const isOf = (group: Group, { party }: Touch): boolean => party !== undefined && group.party === party;

const isBelow = (path: string, directory: string): boolean =>
  path.length > directory.length &&
  path.startsWith(directory) &&
  (directory === '' || path[directory.length] === '/');

/** Keeps the items of one process in order. */
export function createOrder(): Order {
  const latest = new Map<string, Group>();
  const subtrees = new Set<Place>();

  const before = (touches: readonly Touch[]): ReadonlySet<Place> => {
    let earlier: Set<Place> | undefined;
    const add = (place: Place): void => {
      if (place.hasLeft) return;
      earlier ??= new Set();
      earlier.add(place);
    };
    for (const touch of touches) {
      const { path, subtree } = touch;
      const same = latest.get(path);
      if (same !== undefined) for (const place of isOf(same, touch) ? same.before : same.places) add(place);
      for (const place of subtrees) {
        if (place.touches.some((other) => other.subtree && isBelow(path, other.path))) add(place);
      }
      if (!subtree) continue;
      for (const [other, { places }] of latest)
        if (isBelow(other, path)) for (const place of places) add(place);
    }
    return earlier ?? nobody;
  };

  /** Makes a place the last at a path. */
  const put = (place: Place, touch: Touch): void => {
    const same = latest.get(touch.path);
    if (same !== undefined && isOf(same, touch)) same.places.add(place);
    else {
      const before = touch.party === undefined || same === undefined ? [] : [...same.places];
      latest.set(touch.path, { party: touch.party, places: new Set([place]), before });
    }
  };
  const remove = (place: Place, path: string): void => {
    const group = latest.get(path);
    if (group?.places.delete(place) === true && group.places.size === 0) latest.delete(path);
  };

  return {
    join: (touches) => {
      const earlier = before(touches);
      const place: Place = { touches, waiting: [], hasLeft: false };
      for (const touch of touches) put(place, touch);
      if (touches.some((touch) => touch.subtree)) subtrees.add(place);
      const turn =
        earlier.size === 0 ? undefined : Promise.all([...earlier].map(leaving)).then(() => undefined);
      return {
        turn,
        leave: () => {
          place.hasLeft = true;
          for (const { path } of touches) remove(place, path);
          subtrees.delete(place);
          for (const tell of place.waiting) tell();
        },
      };
    },
  };
}
