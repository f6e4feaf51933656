import { compilePattern, longestText } from '../../src/config/pattern/pattern.js';
import type { PlacementState, Rule } from '../../src/config/rules.js';
import type { Received, Selected, Target } from '../../src/flow/item.js';
import { isSettled } from '../../src/flow/outcome.js';
import type { Announcement } from '../../src/message/announcement.js';
import { type PlaceOptions, place } from '../../src/stage/place/place.js';
import { type SelectOptions, select } from '../../src/stage/choose/select.js';

/** 2016-01-20 07:04:05 UTC. */
export const clock = Date.UTC(2016, 0, 20, 7, 4, 5);

export const noPlacement: PlacementState = {
  directory: undefined,
  filename: undefined,
  mirror: false,
  strip: 0,
  flatten: '/',
  access: undefined,
};

export const rule = (
  verdict: Rule['verdict'],
  source: string,
  state: Partial<PlacementState> = {},
): Rule => ({
  ...noPlacement,
  ...state,
  verdict,
  pattern: compilePattern(source, { anchored: true }).pattern,
  origin: { file: 'test.conf', line: 1 },
});

export const selection = (
  rules: readonly Rule[],
  unmatched: Partial<PlacementState> = {},
): SelectOptions => ({
  rules,
  acceptUnmatch: rules.length === 0,
  unmatched: { ...noPlacement, ...unmatched },
  matching: 'url',
  longestText,
});

export interface Settings extends Partial<Omit<PlaceOptions, 'selection' | 'repost'>> {
  readonly selection: SelectOptions;
  readonly repost?: Partial<PlaceOptions['repost']>;
  readonly warnings?: string[];
}

export const placeOptions = ({ warnings, repost, ...settings }: Settings): PlaceOptions => ({
  home: '/current/directory',
  baseDir: undefined,
  postBaseDir: undefined,
  destfnScript: undefined,
  nameScript: undefined,
  blocks: 'hidden',
  now: () => clock,
  warn: (text) => void warnings?.push(text),
  ...settings,
  repost: {
    transferred: true,
    baseUrls: [],
    postBaseDir: settings.postBaseDir,
    topicPrefix: 'v02.post',
    receivedPrefix: 'v02.post',
    ...repost,
  },
});

/** A whole file of 100 bytes, announced by src1. */
export const announcement = (relPath: string, more: Partial<Announcement> = {}): Announcement => ({
  topic: 'v02.post',
  pubTime: '20160120070000.123',
  baseUrl: 'http://d/',
  relPath,
  change: {
    kind: 'write',
    parts: { method: '1', blockSize: 100, count: 1, remainder: 0, number: 0 },
    sum: { algorithm: 'd', value: '0' },
  },
  ...more,
  headers: more.headers ?? new Map([['source', 'src1']]),
});

export const received = (subject: Announcement): Received => ({
  subject,
  exchange: 'xpublic',
  message: { kind: 'post', announcement: subject, warnings: [] },
  takenAt: clock,
  repeated: false,
  close: async () => undefined,
});

export interface Outcome {
  readonly target: Target;
  readonly counterpart?: Target;
  readonly next: Announcement;
}

const never = new AbortController().signal;

/** Selects and places; undefined when the rules drop it. */
export function placer(settings: Settings): (subject: Announcement) => Promise<Outcome | undefined> {
  const options = placeOptions(settings);
  const selecting = select(options.selection);
  const placing = place(options);
  return async (subject) => {
    const item = received(subject);
    const chosen = await selecting.run(item, never);
    if (isSettled(chosen)) return undefined;
    const selected: Selected = { ...item, ...chosen };
    const placed = await placing.run(selected, never);
    if (isSettled(placed)) throw new Error('place settles nothing');
    return placed;
  };
}
