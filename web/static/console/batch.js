// One batch: follows it until it has ended, then shows the page anew, with what can be taken away.
import { keepLive } from "./live.js";
import { ago, number } from "./words.js";

const EVERY_MS = 1000;
const place = document.querySelector("[data-batch]");
const ENDED = ["completed", "failed", "cancelled", "expired"];
const say = (name, text) => (document.querySelector(`[data-value="${name}"]`).textContent = text);

function follow() {
  let hasEnded = false;
  keepLive(() => `/console/batches/${place.dataset.batch}/state`, EVERY_MS, (batch) => {
    if (hasEnded) return;
    hasEnded = ENDED.includes(batch.status);
    if (hasEnded) return location.reload();
    const { total, completed, failed } = batch.request_counts;
    document.querySelector("progress").value = batch.progress;
    document.querySelector("[role=status] .mark").lastChild.textContent = batch.status.replaceAll("_", " ");
    say("total", number(total));
    say("completed", number(completed));
    say("failed", number(failed));
    say("rate", number(batch.rows_per_second));
    const end = batch.estimated_end_at && new Date(batch.estimated_end_at);
    say("rest", end ? `About ${Math.max(1, Math.round((end - Date.now()) / 1000))} s to go` : `Submitted ${ago(new Date(batch.created_at))}`);
  });
}

if (!ENDED.includes(place.dataset.status)) follow();
