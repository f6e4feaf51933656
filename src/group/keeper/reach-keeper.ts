import { RetryableError } from '../../errors.js';
import { ask } from '../../store/owner/ask.js';
import type { GroupStatus, Result, StartRequest, StopRequest } from '../words.js';

/* Speaking with the keeper. `status` of hundreds of configurations goes through here: it imports next to nothing. */

const STATUS_LIMIT = 4000;
/** Milliseconds for the start of a great many, and for the end of all. */
const START_LIMIT = 300_000;
const STOP_LIMIT = 60_000;

/** What the keeper knows; undefined when there is none; `silent` when it does not answer. */
export async function askGroup(directory: string): Promise<GroupStatus | 'silent' | undefined> {
  try {
    return (await ask(directory, 'status', null, { timeout: STATUS_LIMIT }))?.answer as
      GroupStatus | undefined;
  } catch (thrown) {
    if (thrown instanceof RetryableError) return 'silent';
    throw thrown;
  }
}

type Answers = readonly Result[] | undefined;

/** Undefined when there is no keeper. */
export const askKeeperToStart = async (directory: string, request: StartRequest): Promise<Answers> =>
  (await ask(directory, 'start', request, { timeout: START_LIMIT }))?.answer as Answers;

export const askKeeperToStop = async (directory: string, request: StopRequest): Promise<Answers> =>
  (await ask(directory, 'stop', request, { timeout: STOP_LIMIT }))?.answer as Answers;

/** Has what is wanted and does not run started. */
export const askForSanity = async (directory: string): Promise<Answers> =>
  (await ask(directory, 'sanity', null, { timeout: START_LIMIT }))?.answer as Answers;
