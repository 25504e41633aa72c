// One decision: says what it really was, and waits for a replay that was asked for.
import { read } from "./live.js";
import { send, toast } from "./send.js";

const ASK_AGAIN_MS = 700;
const decisionId = document.querySelector("[data-decision]").dataset.decision;

for (const button of document.querySelectorAll("[data-label]")) {
  button.addEventListener("click", async () => {
    try {
      const isFraud = button.dataset.label === "true";
      await send(`/console/reviews/${encodeURIComponent(decisionId)}/label`, {
        body: JSON.stringify({ is_fraud: isFraud }),
      });
      toast(`Labelled as ${isFraud ? "fraud" : "genuine"}. It shows here within a second or two.`);
    } catch (refused) {
      toast(refused.message, "bad");
    }
  });
}

const replay = document.querySelector('[data-replay][data-status="queued"]');

async function waitForReplay() {
  const found = await read(`/console/replays/${replay.dataset.replay}`).catch(() => ({ status: "queued" }));
  if (found.status === "queued") setTimeout(waitForReplay, ASK_AGAIN_MS);
  else location.reload();
}

if (replay) waitForReplay();
