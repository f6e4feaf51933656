/** Sums by number, packed: there may be a million of them. All are hexadecimal and equally long. */
export interface ToldSums {
  readonly get: (number: number) => string | undefined;
  readonly set: (number: number, sum: string) => void;
}

export function createToldSums(): ToldSums {
  let width = 0;
  let sums = Buffer.alloc(0);
  return {
    get: (number) => {
      const sum = sums.subarray(number * width, (number + 1) * width);
      return sum.some((byte) => byte !== 0) ? sum.toString('hex') : undefined;
    },
    set: (number, sum) => {
      width = sum.length / 2;
      if ((number + 1) * width > sums.byteLength) {
        const larger = Buffer.alloc(Math.max(2 * sums.byteLength, (number + 1) * width));
        sums.copy(larger);
        sums = larger;
      }
      sums.write(sum, number * width, 'hex');
    },
  };
}
