/**
 * Which deliveries of one channel are unfinished, and which acknowledgements are due. While the oldest unfinished one
 * is young, the finished ones behind it wait, to be acknowledged in one frame with it; once it is older than
 * `patience` they are acknowledged one by one, so that a single long transfer holds nothing back.
 */
export interface Acknowledgement {
  readonly tag: number;
  /** Covers every delivery up to the tag. */
  readonly multiple: boolean;
}

export interface AckLedger {
  /** A delivery arrived. Tags grow by one. */
  readonly take: (tag: number) => void;
  /** Whether the delivery was still ours to finish. */
  readonly finish: (tag: number) => boolean;
  /** Given back to the broker; whether it was still ours. */
  readonly giveBack: (tag: number) => boolean;
  /** What to send now. */
  readonly due: () => Acknowledgement[];
  /** Milliseconds until `due` will have something without anything new finishing; undefined when never. */
  readonly dueIn: () => number | undefined;
  /** Deliveries neither finished nor given back. */
  readonly unfinished: () => number;
}

/** `now` in milliseconds, monotonic; `patience` in milliseconds. */
export function ackLedger(now: () => number = () => performance.now(), patience = 1000): AckLedger {
  /** In order of tags: when it arrived. Finished ones stay until they are acknowledged. */
  const held = new Map<number, number>();
  const finished = new Set<number>();

  /** The oldest unfinished delivery's arrival, and the last of the finished ones before it. */
  const front = (): { last: number | undefined; count: number; headSince: number | undefined } => {
    let last: number | undefined;
    let count = 0;
    for (const [tag, since] of held) {
      if (!finished.has(tag)) return { last, count, headSince: since };
      last = tag;
      count += 1;
    }
    return { last, count, headSince: undefined };
  };

  const forget = (tag: number): void => {
    held.delete(tag);
    finished.delete(tag);
  };

  return {
    take: (tag) => {
      held.set(tag, now());
    },
    finish: (tag) => {
      if (!held.has(tag) || finished.has(tag)) return false;
      finished.add(tag);
      return true;
    },
    giveBack: (tag) => {
      if (!held.has(tag) || finished.has(tag)) return false;
      held.delete(tag);
      return true;
    },
    due: () => {
      const { last, count, headSince } = front();
      const acknowledgements: Acknowledgement[] = [];
      if (last !== undefined) {
        acknowledgements.push({ tag: last, multiple: count > 1 });
        for (const tag of [...finished]) if (tag <= last) forget(tag);
      }
      if (headSince !== undefined && now() - headSince >= patience) {
        for (const tag of [...finished].sort((a, b) => a - b)) {
          acknowledgements.push({ tag, multiple: false });
          forget(tag);
        }
      }
      return acknowledgements;
    },
    dueIn: () => {
      if (finished.size === 0) return undefined;
      const { last, headSince } = front();
      if (last !== undefined || headSince === undefined) return 0;
      return Math.max(0, headSince + patience - now());
    },
    unfinished: () => held.size - finished.size,
  };
}
