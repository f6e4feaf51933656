import type { Progress } from '../action/action.js';
import { bytesText } from '../process/work/numbers.js';

/** Milliseconds between two drawings, at least. */
const REDRAW = 200;
/** Characters where the terminal does not say its width. */
const USUAL_WIDTH = 80;

export interface Drawing {
  /** Makes room for another line; the next drawing brings the line back. */
  readonly clear: () => void;
  readonly end: () => void;
}

/** The rate of the last seconds rather than of the whole run: that is what one wants to see change. */
interface Sample {
  readonly time: number;
  readonly files: number;
  readonly bytes: number;
}

/** Characters of a name that are shown. */
const LONGEST_NAME = 24;

/** How far a file in blocks has come. Names come from strangers: control characters must not reach a terminal. */
function largeText({ name, placed, count }: NonNullable<Progress['large']>): string {
  const letters = [...name.replace(/\p{Cc}/gu, '?')];
  const shown = letters.length > LONGEST_NAME ? [...letters.slice(0, LONGEST_NAME - 1), '…'] : letters;
  return `${shown.join('')} ${Math.floor((100 * placed) / count)} % (${placed} of ${count} blocks)`;
}

/** One line: files, bytes, rates, what is left, failures. Times in milliseconds. */
export function progressText(now: Progress, since: Sample, time: number): string {
  const seconds = Math.max((time - since.time) / 1000, 0.001);
  const rate = (now.files - since.files) / seconds;
  const speed = (now.bytes - since.bytes) / seconds;
  const parts = [
    `${now.files} files`,
    bytesText(now.bytes),
    ...(now.large === undefined ? [] : [largeText(now.large)]),
    `${rate.toFixed(rate < 10 ? 1 : 0)} files/s`,
    `${bytesText(Math.round(speed))}/s`,
    ...(now.left === undefined ? [] : [`${now.left} left in the queue`]),
    `${now.failures} failures`,
  ];
  return parts.join('  ');
}

/** Draws the line again and again in place. It never holds up the process: a slow terminal just sees it less often. */
export function startProgress(
  stream: Pick<NodeJS.WriteStream, 'write' | 'columns' | 'writableLength'>,
  look: () => Progress,
  started: number,
): Drawing {
  let samples: Sample[] = [{ time: started, files: 0, bytes: 0 }];
  let isDrawn = false;
  const clear = (): void => {
    if (isDrawn) stream.write('\r\u001b[K');
    isDrawn = false;
  };
  const draw = (): void => {
    if (stream.writableLength > 0) return;
    const time = performance.now();
    const now = look();
    samples = [...samples.filter((one, index) => time - one.time < 5000 || index === samples.length - 1)];
    const [since = { time: started, files: 0, bytes: 0 }] = samples;
    const width = stream.columns > 0 ? stream.columns : USUAL_WIDTH;
    stream.write(`\r\u001b[K${progressText(now, since, time).slice(0, width - 1)}`);
    isDrawn = true;
    samples.push({ time, files: now.files, bytes: now.bytes });
  };
  // At once: a run may be over before the next time.
  draw();
  const timer = setInterval(draw, REDRAW);
  timer.unref();
  return {
    clear,
    end: () => {
      clearInterval(timer);
      clear();
    },
  };
}
