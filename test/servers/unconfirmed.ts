import type { Onlooker } from './proxy.js';

/*
 * What a client has published without learning whether the broker has it: read from the bytes on their way, because
 * neither of the two can tell. Counts publishes and confirms as AMQP 0-9-1 does: by number, from 1, on each channel.
 */

export interface Unconfirmed {
  /** For a proxy: one for each connection. */
  readonly look: () => Onlooker;
  /** Bodies of the messages that were not confirmed when the broker ended their connection; one twice, if twice. */
  readonly left: () => readonly string[];
}

const METHOD = 1;
const BODY = 3;
/** Of a frame: type, channel and size in front, a mark behind. */
const FRONT = 7;
const BEHIND = 1;
const GREETING = 'AMQP';
const publish = [60, 40].join();
const acknowledged = [60, 80].join();
const selected = [85, 10].join();

interface Frame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

/** Cuts what comes in pieces into frames. */
function framesOf(each: (frame: Frame) => void): (data: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    if (rest.subarray(0, GREETING.length).toString() === GREETING) rest = rest.subarray(GREETING.length + 4);
    while (rest.length >= FRONT) {
      const size = rest.readUInt32BE(3);
      if (rest.length < FRONT + size + BEHIND) return;
      const payload = rest.subarray(FRONT, FRONT + size);
      each({ type: rest.readUInt8(0), channel: rest.readUInt16BE(1), payload });
      rest = rest.subarray(FRONT + size + BEHIND);
    }
  };
}

const methodOf = ({ type, payload }: Frame): string =>
  type === METHOD ? [payload.readUInt16BE(0), payload.readUInt16BE(2)].join() : '';

interface Channel {
  sent: number;
  readonly waiting: Map<number, string>;
}

function onlooker(left: string[]): Onlooker {
  const channels = new Map<number, Channel>();
  return {
    fromClient: framesOf((frame) => {
      const method = methodOf(frame);
      if (method === selected) channels.set(frame.channel, { sent: 0, waiting: new Map() });
      const channel = channels.get(frame.channel);
      if (channel === undefined) return;
      if (method === publish) channel.waiting.set((channel.sent += 1), '');
      if (frame.type !== BODY) return;
      const before = channel.waiting.get(channel.sent) ?? '';
      channel.waiting.set(channel.sent, `${before}${frame.payload.toString()}`);
    }),
    fromServer: framesOf((frame) => {
      if (methodOf(frame) !== acknowledged) return;
      const channel = channels.get(frame.channel);
      const tag = Number(frame.payload.readBigUInt64BE(4));
      const isMultiple = frame.payload.readUInt8(12) === 1;
      for (const number of channel?.waiting.keys() ?? [])
        if (number === tag || (isMultiple && number < tag)) channel?.waiting.delete(number);
    }),
    ended: (by) => {
      if (by === 'server') for (const { waiting } of channels.values()) left.push(...waiting.values());
      channels.clear();
    },
  };
}

export function watchUnconfirmed(): Unconfirmed {
  const left: string[] = [];
  return { look: () => onlooker(left), left: () => left };
}
