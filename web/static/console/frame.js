// What every page does: times as how long ago they are, the navigation where one is.
import { showAgo } from "./words.js";

// On a phone the navigation scrolls: the page that is open is in sight.
document.querySelector(".side [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

showAgo();
setInterval(showAgo, 10_000);
