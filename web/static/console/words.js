// Numbers, times and ids as people read them; web/console/words.py says the same on the server.
export const NOTHING = "–";

export const number = (value, digits = 0) =>
  value == null ? NOTHING : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (share, digits = 1) => (share == null ? NOTHING : `${number(100 * share, digits)}%`);

export function milliseconds(value) {
  if (value == null) return NOTHING;
  return value < 1000 ? `${number(value, value > 0 && value < 10 ? 1 : 0)} ms` : `${number(value / 1000, 1)} s`;
}

export const rate = (perSecond) => number(perSecond, perSecond > 0 && perSecond < 10 ? 1 : 0);

export function duration(seconds) {
  if (seconds == null) return NOTHING;
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function ago(moment) {
  const seconds = Math.max(0, (Date.now() - moment.getTime()) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

// Times on a page as how long ago they are; the exact time stays as the title.
export function showAgo(root = document) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    time.title ||= time.textContent;
    time.textContent = ago(new Date(time.dateTime));
  }
}
