/** Configurations in one process at most: so many are lost for a moment when it dies. */
export const LARGEST = 50;
/** A process more is worth its memory when there are so many configurations for it. */
const WORTH = 8;
/** More processes than this take more memory than they give, unless the largest size asks for them. */
const MOST = 8;

/** How many processes so many configurations shall share. */
export const carriersFor = (configurations: number, processors: number): number =>
  Math.max(
    Math.ceil(configurations / LARGEST),
    Math.min(Math.ceil(configurations / WORTH), processors, MOST),
  );

export interface Load {
  readonly number: number;
  readonly carried: number;
  /** Takes more. */
  readonly isOpen: boolean;
}

/**
 * The process for one configuration more, of `total` in the end: the one with the fewest, or the number of a new one
 * while there are fewer processes than there shall be.
 */
export function assign(loads: readonly Load[], total: number, processors: number): number {
  const open = loads.filter(({ isOpen }) => isOpen);
  const [least] = open
    .filter(({ carried }) => carried < LARGEST)
    .sort((a, b) => a.carried - b.carried || a.number - b.number);
  const isEnough = open.length >= carriersFor(total, processors);
  if (least !== undefined && (isEnough || least.carried === 0)) return least.number;
  return nextNumber(loads.map(({ number }) => number));
}

/** The lowest that nobody has. */
export function nextNumber(used: readonly number[]): number {
  let next = 1;
  while (used.includes(next)) next += 1;
  return next;
}
