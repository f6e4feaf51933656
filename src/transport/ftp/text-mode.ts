/*
 * What `ascii` means: on the way a line ends with CR LF, on either side as it is the custom there. Here that is LF.
 */

const CR = 13;
const LF = 10;

/** Lines as they are here, of pieces as they come. */
export interface LineEnds {
  /** A piece, perhaps of other length; a byte that may belong to a line end is kept for the next one. */
  readonly next: (piece: Uint8Array) => Uint8Array;
  /** What was kept, at the end. */
  readonly rest: () => Uint8Array;
}

/** CR LF becomes LF. */
export function fromNetwork(): LineEnds {
  let isKept = false;
  return {
    next: (piece) => {
      if (piece.byteLength === 0) return piece;
      const out = Buffer.allocUnsafe(piece.byteLength + 1);
      let length = 0;
      if (isKept && piece[0] !== LF) out[length++] = CR;
      isKept = piece[piece.byteLength - 1] === CR;
      const end = piece.byteLength - (isKept ? 1 : 0);
      for (let index = 0; index < end; index += 1) {
        const byte = piece[index] ?? 0;
        if (byte !== CR || piece[index + 1] !== LF) out[length++] = byte;
      }
      return out.subarray(0, length);
    },
    rest: () => (isKept ? Buffer.of(CR) : Buffer.alloc(0)),
  };
}

/** LF becomes CR LF, unless it is that already. */
export function toNetwork(): LineEnds {
  let last = 0;
  return {
    next: (piece) => {
      const out = Buffer.allocUnsafe(2 * piece.byteLength);
      let length = 0;
      for (const byte of piece) {
        if (byte === LF && last !== CR) out[length++] = CR;
        out[length++] = byte;
        last = byte;
      }
      return out.subarray(0, length);
    },
    rest: () => Buffer.alloc(0),
  };
}
