import { PermanentError } from '../errors.js';

/** The protocol, or this server, knows no such operation: whoever asks does it in another way, or not at all. */
export class Unsupported extends PermanentError {
  constructor(message: string) {
    super(497, message);
  }
}
