import type { Session } from './transport.js';

/** So many bytes of a file have left this machine when they have been taken: less lies in buffers on the way. */
const beyondBuffers = 8 * 1024 * 1024;

/** Does something under guard: `flows` says that the server takes what it is given. */
type Guard = <T>(stop: AbortSignal, work: (stop: AbortSignal, flows: () => void) => Promise<T>) => Promise<T>;

/** All of a session that writes, under guard; what the session lacks stays absent. */
export function guardedWriting(session: Session, guard: Guard): Partial<Session> {
  const { put, makeDirectory, rename, remove, link, truncate, look } = session;
  return {
    ...(put && {
      put: (upload, stop) =>
        guard(stop, (signal, flows) => {
          const { data, whole } = upload;
          return put(whole === undefined ? { ...upload, data: counted(data, flows) } : upload, signal);
        }),
    }),
    ...(makeDirectory && {
      makeDirectory: (path, mode, stop) => guard(stop, (signal) => makeDirectory(path, mode, signal)),
    }),
    ...(rename && { rename: (from, to, stop) => guard(stop, (signal) => rename(from, to, signal)) }),
    ...(remove && { remove: (path, stop) => guard(stop, (signal) => remove(path, signal)) }),
    ...(link && { link: (path, to, stop) => guard(stop, (signal) => link(path, to, signal)) }),
    ...(truncate && {
      truncate: (path, size, stop) => guard(stop, (signal) => truncate(path, size, signal)),
    }),
    ...(look && { look: (path, stop) => guard(stop, (signal) => look(path, signal)) }),
  };
}

/** The same bytes; `flows` is told whenever some are taken that cannot all be in buffers. */
async function* counted(
  data: AsyncIterable<Uint8Array>,
  flows: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let taken = 0;
  for await (const piece of data) {
    yield piece;
    taken += piece.byteLength;
    if (taken > beyondBuffers) flows();
  }
}
