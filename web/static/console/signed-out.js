// The session ended while a page was open: it says so once, stays as it is, and leads to the login.
export const SIGNED_OUT = 401;

export function sayThatSignedOut() {
  if (document.getElementById("signed-out")) return;
  const note = Object.assign(document.createElement("div"), { id: "signed-out", className: "toast toast-bad" });
  const again = document.createElement("a");
  again.href = `/console/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  again.textContent = "Sign in again";
  note.append("Your session has ended. ", again);
  document.getElementById("toasts").append(note);
}
