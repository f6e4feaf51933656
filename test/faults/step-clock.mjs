/* Loaded into a program by --import: its clock is ahead by as many milliseconds as stand in the file STEP_CLOCK. */
import { readFileSync, watchFile } from 'node:fs';

const file = process.env.STEP_CLOCK;
const read = () => Number(readFileSync(file, 'utf8'));
let ahead = read();
watchFile(file, { interval: 20, persistent: false }, () => {
  ahead = read();
  process._rawDebug(`CLOCK ${ahead}`);
});

const now = Date.now;
Date.now = () => now() + ahead;
globalThis.Date = new Proxy(Date, {
  construct: (target, words, made) =>
    Reflect.construct(target, words.length === 0 ? [Date.now()] : words, made),
});
