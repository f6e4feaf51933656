/** The arithmetic of the measurements. */

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

export interface Line {
  /** Units of y for one unit of x. */
  readonly slope: number;
  /** How far the slope may be off: its standard error. Infinite below three points. */
  readonly error: number;
}

/** The straight line through the points with the least squares. */
export function fit(points: readonly (readonly [x: number, y: number])[]): Line {
  const count = points.length;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (count < 2 || spread === 0) return { slope: 0, error: Infinity };
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  if (count < 3) return { slope, error: Infinity };
  const rest = points.reduce((sum, [x, y]) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { slope, error: Math.sqrt(rest / (count - 2) / spread) };
}

/** Whether a slope is above `allowed` by more than chance explains: three times its standard error. */
export const isRising = ({ slope, error }: Line, allowed: number): boolean => slope - 3 * error > allowed;
