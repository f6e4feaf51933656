import { decodeV02 } from './v02.js';
import { decodeV03 } from './v03.js';
import { type Decoded, malformed, type RawMessage } from './wire.js';

/** The first byte of a body that is not white space, or 0. */
function firstByte(body: Uint8Array): number {
  for (const byte of body) {
    if (byte !== 32 && byte !== 9 && byte !== 10 && byte !== 13) return byte;
  }
  return 0;
}

/** `{` or `[`. */
const isJsonStart = (byte: number): boolean => byte === 123 || byte === 91;

/** A message is of the later format when its topic, its content type or its first character says so. */
const isV03 = (raw: RawMessage): boolean =>
  raw.topic.startsWith('v03') || raw.contentType === 'application/json' || isJsonStart(firstByte(raw.body));

/**
 * Bytes of the longest body that is read: far above any announcement with its file in it, far below what could not
 * be kept for another attempt.
 */
export const longestBody = 16 * 1024 * 1024;

/**
 * Decodes a message of either format. Never throws, whatever it is given.
 *
 * @param postPrefix a topic prefix of posts that does not begin with `v02.post`, when one is configured
 */
export function decode(raw: RawMessage, postPrefix?: string): Decoded {
  const { length } = raw.body;
  if (length > longestBody)
    return malformed(
      `a body of ${length} bytes is no announcement: the longest one that is read has ${longestBody}`,
    );
  try {
    return isV03(raw) ? decodeV03(raw) : decodeV02(raw, postPrefix);
  } catch (thrown) {
    // Not reached by anything known. A message must never end a process, so it is refused like any other.
    return malformed(`it could not be decoded: ${thrown instanceof Error ? thrown.name : 'unknown failure'}`);
  }
}
