/**
 * A bound on a number of steps as a function of the length n of the text. Coefficient d counts choices of d places
 * in the text, in order: there are C(n + d, d) of them. Infinity where there is no such bound.
 */
export type Polynomial = readonly number[];

export const constant = (value: number): Polynomial => [value];
/** One step, or a few, for every place in the text. */
export const perPlace = (steps = 1): Polynomial => [0, steps];
export const unbounded: Polynomial = [Infinity];

const steepest = 12;

export const isBounded = (one: Polynomial): boolean => one.every(Number.isFinite);
export const isAtMostOne = (one: Polynomial): boolean => one.length <= 1 && (one[0] ?? 0) <= 1;

export function sum(...all: readonly Polynomial[]): Polynomial {
  const total: number[] = [];
  for (const one of all) one.forEach((value, degree) => (total[degree] = (total[degree] ?? 0) + value));
  return total;
}

/** The larger coefficient of each degree. */
export function largest(all: readonly Polynomial[]): Polynomial {
  const found: number[] = [];
  for (const one of all)
    one.forEach((value, degree) => (found[degree] = Math.max(found[degree] ?? 0, value)));
  return found;
}

export function product(a: Polynomial, b: Polynomial): Polynomial {
  if (!isBounded(a) || !isBounded(b) || a.length + b.length - 2 > steepest) return unbounded;
  const result = new Array<number>(a.length + b.length - 1).fill(0);
  a.forEach((one, degree) => {
    b.forEach((other, more) => (result[degree + more] = (result[degree + more] ?? 0) + one * other));
  });
  return result;
}

export function valueAt(polynomial: Polynomial, n: number): number {
  let choices = 1;
  let total = 0;
  polynomial.forEach((value, degree) => {
    if (degree > 0) choices *= (n + degree) / degree;
    if (value !== 0) total += value * choices;
  });
  return total;
}
