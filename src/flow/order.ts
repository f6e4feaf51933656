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
  readonly left: Promise<void>;
}

const isBelow = (path: string, directory: string): boolean =>
  path.length > directory.length &&
  path.startsWith(directory) &&
  (directory === '' || path[directory.length] === '/');

/** Keeps the items of one process in order. */
export function createOrder(): Order {
  const latest = new Map<string, Place>();
  const subtrees = new Set<Place>();

  const before = (touches: readonly Touch[]): Set<Place> => {
    const earlier = new Set<Place>();
    for (const { path, subtree } of touches) {
      const same = latest.get(path);
      if (same !== undefined) earlier.add(same);
      for (const place of subtrees) {
        if (place.touches.some((touch) => touch.subtree && isBelow(path, touch.path))) earlier.add(place);
      }
      if (!subtree) continue;
      for (const [other, place] of latest) if (isBelow(other, path)) earlier.add(place);
    }
    return earlier;
  };

  return {
    join: (touches) => {
      const earlier = before(touches);
      let leave: () => void = () => undefined;
      const left = new Promise<void>((resolve) => (leave = resolve));
      const place: Place = { touches, left };
      for (const { path } of touches) latest.set(path, place);
      if (touches.some((touch) => touch.subtree)) subtrees.add(place);
      const turn =
        earlier.size === 0
          ? undefined
          : Promise.all([...earlier].map((other) => other.left)).then(() => undefined);
      return {
        turn,
        leave: () => {
          for (const { path } of touches) if (latest.get(path) === place) latest.delete(path);
          subtrees.delete(place);
          leave();
        },
      };
    },
  };
}
