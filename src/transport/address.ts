/**
 * Whether an address is one of the public Internet. Everything that is not known to be is not: loopback, private,
 * link-local, unique-local, shared (carrier) and documentation ranges, multicast, the unspecified address, and what
 * is no address at all.
 */
export function isPublicAddress(address: string): boolean {
  const bytes = bytesOf(address);
  if (bytes === undefined) return false;
  return bytes.length === 4 ? isPublicV4(bytes) : isPublicV6(bytes);
}

/** The bytes of an address, 4 or 16, in network order; undefined for what is none. A zone (`%eth0`) is passed over. */
export function bytesOf(address: string): readonly number[] | undefined {
  const text = address.replace(/^\[(.*)\]$/u, '$1').replace(/%.*$/u, '');
  return text.includes(':') ? bytesOfV6(text) : bytesOfV4(text);
}

function bytesOfV4(text: string): readonly number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/u.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

function bytesOfV6(text: string): readonly number[] | undefined {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/u.exec(text);
  const four = tail?.[2] === undefined ? undefined : bytesOfV4(tail[2]);
  if (tail !== null && four === undefined) return undefined;
  const groups = four === undefined ? text : `${tail?.[1] ?? ''}${hex(four, 0)}:${hex(four, 2)}`;
  const halves = groups.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], rest = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const words = [...head, ...Array.from({ length: missing }, () => '0'), ...rest];
  if (!words.every((word) => /^[0-9a-f]{1,4}$/iu.test(word))) return undefined;
  return words.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 255]);
}

const hex = (bytes: readonly number[], at: number): string =>
  ((bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)).toString(16);

interface Range {
  readonly prefix: readonly number[];
  readonly bits: number;
}

/** `10/8`, `2001:db8::/32`; the address may leave out zeros at its end. */
function range(prefix: readonly number[], bits: number): Range {
  return { prefix, bits };
}

const closedV4: readonly Range[] = [
  range([0], 8),
  range([10], 8),
  range([100, 64], 10),
  range([127], 8),
  range([169, 254], 16),
  range([172, 16], 12),
  range([192, 0, 0], 24),
  range([192, 0, 2], 24),
  range([192, 88, 99], 24),
  range([192, 168], 16),
  range([198, 18], 15),
  range([198, 51, 100], 24),
  range([203, 0, 113], 24),
  // Multicast, reserved, broadcast.
  range([224], 3),
];

const globalV6 = range([0x20], 3);

/** Parts of the global range that lead nowhere, or into a tunnel whose end we cannot see. */
const closedV6: readonly Range[] = [
  range([0x20, 0x01, 0, 0], 32),
  range([0x20, 0x01, 0, 0x10], 28),
  range([0x20, 0x01, 0x0d, 0xb8], 32),
  range([0x3f, 0xff, 0], 20),
];

/** Ranges whose addresses stand for one of version 4, and where it begins. */
const carriesV4: readonly { readonly in: Range; readonly at: number }[] = [
  { in: range([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 96), at: 12 },
  { in: range([0, 0x64, 0xff, 0x9b], 96), at: 12 },
  { in: range([0x20, 0x02], 16), at: 2 },
];

function isIn(bytes: readonly number[], { prefix, bits }: Range): boolean {
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = bits - bit >= 8 ? 255 : (0xff00 >> (bits - bit)) & 255;
    if ((((bytes[bit / 8] ?? 0) ^ (prefix[bit / 8] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

const isPublicV4 = (bytes: readonly number[]): boolean => !closedV4.some((closed) => isIn(bytes, closed));

function isPublicV6(bytes: readonly number[]): boolean {
  const carrier = carriesV4.find((row) => isIn(bytes, row.in));
  if (carrier !== undefined) return isPublicV4(bytes.slice(carrier.at, carrier.at + 4));
  return isIn(bytes, globalV6) && !closedV6.some((closed) => isIn(bytes, closed));
}
