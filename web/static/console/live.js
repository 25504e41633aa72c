// Keeps a page up to date: asks again and again, rests while nobody looks, and says when there is no answer.
import { SIGNED_OUT, sayThatSignedOut } from "./signed-out.js";

const ASK_LIMIT_MS = 8000;
const SLOWEST_MS = 15_000;

const STATES = { on: "Live", paused: "Paused", lost: "No answer", out: "Signed out" };

class SignedOut extends Error {}

function show(state) {
  for (const mark of document.querySelectorAll("[data-live]")) {
    if (mark.dataset.live === state) continue;
    mark.dataset.live = state;
    mark.querySelector("[data-live-text]").textContent = STATES[state];
  }
}

export async function read(path) {
  const answer = await fetch(path, {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(ASK_LIMIT_MS),
  });
  const found = await answer.json();
  if (answer.status === SIGNED_OUT) {
    sayThatSignedOut();
    throw new SignedOut(found.detail);
  }
  if (!answer.ok) throw new Error(found.detail || answer.statusText);
  return found;
}

// Calls `take` with what `path()` answers, every `everyMs`; waits longer and longer while nothing is answered.
export function keepLive(path, everyMs, take) {
  let waitMs = everyMs;
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden) return show("paused");
    try {
      take(await read(path()));
      waitMs = everyMs;
      show("on");
    } catch (error) {
      if (error instanceof SignedOut) return show("out");
      console.warn(`${path()}: ${error.message}`);
      waitMs = Math.min(2 * waitMs, SLOWEST_MS);
      show("lost");
    }
    timer = setTimeout(ask, waitMs);
  };
  document.addEventListener("visibilitychange", ask);
  ask();
  return ask;
}
