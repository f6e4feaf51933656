/**
 * How an owner and its clients speak over a socket: frames of four bytes with the length (big end first) and
 * that much JSON. JSON keeps even broken text, as escapes.
 */

/** Longest frame, in bytes: a retry with the largest message that a broker may sensibly carry. */
export const longestFrame = 256 * 1024 * 1024;
/** Frames are cut here when there is a choice. */
export const comfortableFrame = 1024 * 1024;

/** @param json what is sent, already as JSON. */
export function frameOf(json: string): Buffer {
  const length = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32BE(length, 0);
  frame.write(json, 4);
  return frame;
}

/** Calls `receive` with every value that arrives. The function given back throws on what is no frame. */
export function frameReader(receive: (value: unknown) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let gathered = 0;
  let wanted = 4;
  return (chunk) => {
    chunks.push(chunk);
    gathered += chunk.length;
    if (gathered < wanted) return;
    let bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    for (;;) {
      if (bytes.length < 4) {
        wanted = 4;
        break;
      }
      const length = bytes.readUInt32BE(0);
      if (length > longestFrame) throw new RangeError(`a frame of ${length} bytes is too long`);
      wanted = 4 + length;
      if (bytes.length < wanted) break;
      const value: unknown = JSON.parse(bytes.toString('utf8', 4, wanted));
      bytes = bytes.subarray(wanted);
      receive(value);
    }
    chunks = bytes.length > 0 ? [bytes] : [];
    gathered = bytes.length;
  };
}

/**
 * Gathers JSON texts and sends them together, as arrays, at the end of the event loop's turn.
 *
 * @param send given one frame at a time.
 */
export function frameGatherer(send: (frame: Buffer) => void): {
  add: (json: string) => void;
  flush: () => void;
} {
  let texts: string[] = [];
  let size = 0;
  let scheduled = false;
  const flush = (): void => {
    if (texts.length > 0) send(frameOf(`[${texts.join(',')}]`));
    texts = [];
    size = 0;
  };
  return {
    add: (json) => {
      texts.push(json);
      size += json.length;
      if (size >= comfortableFrame) flush();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(() => {
          scheduled = false;
          flush();
        });
      }
    },
    flush,
  };
}
