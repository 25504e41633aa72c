// What every page does: times as how long ago they are.
import { showAgo } from "./words.js";

showAgo();
setInterval(showAgo, 10_000);
