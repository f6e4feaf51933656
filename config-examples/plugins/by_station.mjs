// Several hooks in one module: plugin by_station.mjs
//
//   plugin by_station.mjs
//   station_list CYUL,CYOW
//
// An option that only a plugin knows (station_list) is kept for it; the log mentions it once at the start.

let wanted = new Set();

/** @type {import('sarracenia').Plugin['on_start']} */
export const on_start = ({ option }) => {
  wanted = new Set(option('station_list').flatMap((line) => line.split(',')));
};

/**
 * Before any transfer: takes only the stations of the list, and sorts them into directories of their own.
 *
 * @type {import('sarracenia').Plugin['on_message']}
 */
export const on_message = ({ announcement }) => {
  const station = /([A-Z]{4})\.txt$/.exec(announcement.relPath)?.[1];
  if (station === undefined || (wanted.size > 0 && !wanted.has(station))) return false;
  return { target: { directory: station } };
};
